// What happens around every RPC, in one place: log, count, and make an absl::Status a grpc::Status.
#ifndef PODVISOR_CRI_EDGE_H_
#define PODVISOR_CRI_EDGE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cri/call.h"

namespace podvisor::cri {

// How a call is logged, unless it failed and that is not the client's fault: that is an error.
enum class Chatter {
  kEvent,  // changes something: info
  kQuery,  // asked all the time: debug
};

// One call made, for metrics. Called from the RPC's thread. `method` is a literal.
using RpcObserver = std::function<void(absl::string_view method, absl::StatusCode code, absl::Duration took)>;

// Thread-safe; one for all services. `observer` may be empty.
class Edge {
 public:
  explicit Edge(RpcObserver observer) : observer_(std::move(observer)) {}

  // Runs `handler` as the answer to `method`.
  grpc::Status Serve(absl::string_view method, Chatter chatter, grpc::ServerContext* context,
                     absl::FunctionRef<absl::Status(Call&)> handler) const;

  // From now on calls see that the server shuts down.
  void Close() { closing_ = true; }

 private:
  RpcObserver observer_;
  std::atomic<bool> closing_{false};
};

// The same code; the message is "METHOD: " and what `status` says, cut in the middle if it would not fit into an HTTP/2
// header that every client takes (8 KiB in C++ clients, with escapes): both what failed and the tail of a guest's
// console stay readable.
grpc::Status ToGrpcStatus(absl::string_view method, const absl::Status& status);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_EDGE_H_
