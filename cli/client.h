// The connection to podvisord, for a person at the machine.
#ifndef PODVISOR_CLI_CLIENT_H_
#define PODVISOR_CLI_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cri/admin.grpc.pb.h"
#include "third_party/wire/cri_services.h"

namespace podvisor::cli {

inline constexpr char kDefaultSocket[] = "/run/podvisor/podvisor.sock";

// Stubs on one channel. Thread-safe. Does not connect before the first call.
struct Client {
  explicit Client(const std::string& socket);

  std::string socket;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<runtime::v1::RuntimeService::Stub> runtime;
  std::unique_ptr<runtime::v1::ImageService::Stub> images;
  std::unique_ptr<v1::Admin::Stub> admin;
};

// The daemon's error as a Status; where the daemon does not answer, with what to do about it.
absl::Status FromGrpc(const grpc::Status& status, const std::string& socket);

// A context whose call fails after `timeout`.
void SetTimeout(grpc::ClientContext& context, absl::Duration timeout);

// One unary call: Call(client, *client.runtime, &RuntimeService::Stub::Version, request, absl::Seconds(5)).
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Client& client, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request, absl::Duration timeout = absl::Minutes(2)) {
  grpc::ClientContext context;
  SetTimeout(context, timeout);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return FromGrpc(status, client.socket);
  return response;
}

// A container or pod as the user named it.
struct Named {
  std::string pod_id;
  std::string pod_name;
  std::string container_id;  // empty: a pod without containers
};

// Finds by pod name, container id or its prefix, pod id or its prefix, or container name, in this order. kNotFound says
// what was looked for; kInvalidArgument if the word fits several.
absl::StatusOr<Named> Find(const Client& client, const std::string& word);

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_CLIENT_H_
