// The host's side of the agent's connection.
#ifndef PODVISOR_AGENT_CLIENT_AGENT_CLIENT_H_
#define PODVISOR_AGENT_CLIENT_AGENT_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/guest_channel.h"

namespace google::protobuf {
class MessageLite;
}

namespace podvisor {

inline constexpr absl::string_view kAgentService = "grpc.AgentService";
inline constexpr absl::string_view kHealthService = "grpc.Health";
inline constexpr absl::string_view kExtensionService = "podvisor.agent.v1.Extension";

// A ttrpc client on one guest's channel. Thread-safe. Connects by itself, and again when the connection breaks, with
// growing pauses up to 1 s, until it is destroyed or closed. Many calls are under way at once on one connection.
//
// The guest is not trusted: an answer larger than 4 MiB, an answer to no call, or a malformed frame ends the connection
// (it is made anew) and every call under way with kUnavailable; the queue of requests not yet sent is bounded.
// A status of the agent becomes an absl::Status of the same code (the numbers are gRPC's).
class AgentClient {
 public:
  // Callback of one call, made once from the event loop: the serialized response, or an error. Must not block.
  using Done = std::function<void(absl::StatusOr<std::string> response)>;
  // One call made, for metrics: from the event loop, must not block.
  using Observer = std::function<void(absl::string_view method, absl::StatusCode code, absl::Duration took)>;

  // Does not wait for the guest. `loop` outlives the client.
  static std::unique_ptr<AgentClient> Create(EventLoop& loop, GuestChannel channel, Observer observer = nullptr);
  virtual ~AgentClient() = default;

  // Blocks until the agent has answered a health check; kDeadlineExceeded if it has not by then.
  virtual absl::Status WaitReady(absl::Time deadline) = 0;

  // A call waits for a connection, if there is none, until its own deadline. If the connection breaks when the request
  // has been sent, the call fails with kUnavailable: whether the guest has carried it out is not known.
  virtual void CallAsync(absl::string_view service, absl::string_view method,
                         const google::protobuf::MessageLite& request, absl::Time deadline, Done done) = 0;

  // The same, blocking. Never in the event loop's thread, never holding a lock.
  absl::Status Call(absl::string_view service, absl::string_view method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite* response, absl::Time deadline);

  // Fails every call under way and to come with kCancelled.
  virtual void Close() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_CLIENT_AGENT_CLIENT_H_
