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

// Limits and times of one client; the defaults are right for a pod.
struct AgentClientTuning {
  // Requests not yet sent. Beyond it a call fails at once with kResourceExhausted: slow down.
  size_t max_queued_bytes = 16 << 20;
  // Calls under way, sent or not; likewise.
  size_t max_calls = 4096;
  // vsock and hybrid vsock can stall (vhost-device-vsock 0.3.0 does under load): if calls are under way and nothing has
  // come for this long, a health check has to be answered within `probe_timeout`, else the connection is made anew.
  // After each answered check the next one waits twice as long, up to `max_stall_check`: a long WaitProcess is no load.
  absl::Duration stall_check = absl::Seconds(5);
  absl::Duration max_stall_check = absl::Minutes(1);
  absl::Duration probe_timeout = absl::Seconds(5);
  // The rest of a frame that has begun has to follow within this time.
  absl::Duration half_frame_timeout = absl::Seconds(30);
  // Of hybrid vsock's CONNECT. Doubled after each time-out in a row, up to 16 times.
  absl::Duration handshake_timeout = absl::Seconds(1);
};

// A ttrpc client on one guest's channel. Thread-safe. Connects by itself, and again when the connection breaks, until
// it is destroyed or closed; it pauses between two attempts for an eighth of the time that the guest has been away, at
// least 10 ms and at most 1 s. Many calls are under way at once on one connection.
//
// The guest is not trusted: an answer larger than 4 MiB, an answer to no call, or a malformed frame ends the connection
// (it is made anew) and every call under way with kUnavailable; the queue of requests not yet sent is bounded. A status
// of the agent becomes an absl::Status of the same code (the numbers are gRPC's); its message is cut to 4 KiB and its
// control characters become spaces.
class AgentClient {
 public:
  // Callback of one call, made once from the event loop: the serialized response, or an error. Must not block.
  using Done = std::function<void(absl::StatusOr<std::string> response)>;
  // One call made, for metrics: from the event loop, must not block.
  using Observer = std::function<void(absl::string_view method, absl::StatusCode code, absl::Duration took)>;

  // Does not wait for the guest. `loop` outlives the client.
  static std::unique_ptr<AgentClient> Create(EventLoop& loop, GuestChannel channel, Observer observer = nullptr,
                                             AgentClientTuning tuning = {});
  // Calls under way fail with kCancelled first; no callback runs when it has returned. May be called from a callback.
  virtual ~AgentClient() = default;

  // Blocks until the agent has answered a health check; kDeadlineExceeded if it has not by then, with the reason why
  // the last attempt failed.
  virtual absl::Status WaitReady(absl::Time deadline) = 0;

  // A call waits for a connection, if there is none, until its own deadline. If the connection breaks when the request
  // has been sent, the call fails with kUnavailable: whether the guest has carried it out is not known.
  // kOutOfRange if the request is larger than a frame may be (4 MiB less 1 KiB).
  virtual void CallAsync(absl::string_view service, absl::string_view method,
                         const google::protobuf::MessageLite& request, absl::Time deadline, Done done) = 0;

  // The same, blocking. Never in the event loop's thread, never holding a lock. kDataLoss if the answer is not of
  // response's type.
  absl::Status Call(absl::string_view service, absl::string_view method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite* response, absl::Time deadline);

  // Fails every call under way and to come with kCancelled.
  virtual void Close() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_AGENT_CLIENT_AGENT_CLIENT_H_
