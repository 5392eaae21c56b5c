// The gRPC server on podvisord's socket.
#ifndef PODVISOR_CRI_SERVER_H_
#define PODVISOR_CRI_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/backend.h"
#include "cri/edge.h"

namespace podvisor::cri {

struct ServerOptions {
  std::string socket;  // path of the Unix socket; its folder exists
  // Calls that run at once, a thread each: beyond it they fail with RESOURCE_EXHAUSTED. The kubelet runs a few per pod.
  int max_threads = 512;
};

// Serves RuntimeService, ImageService and podvisor's own Admin service. Thread-safe.
class Server {
 public:
  // Listens when this returns. The socket has mode 0600. A socket file that nobody listens on is replaced; one that
  // somebody does, or any other file, is kFailedPrecondition.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options, const Backend& backend,
                                                       RpcObserver observer);
  virtual ~Server() = default;

  // Takes no new calls, waits for those under way until `drain`, then cancels them and waits until their handlers have
  // returned. Removes the socket. Once.
  virtual void Shutdown(absl::Duration drain) = 0;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_SERVER_H_
