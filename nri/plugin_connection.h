// One plugin's socket: calls in both directions at once, over the two streams on it.
#ifndef PODVISOR_NRI_PLUGIN_CONNECTION_H_
#define PODVISOR_NRI_PLUGIN_CONNECTION_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace google::protobuf {
class MessageLite;
}

namespace podvisor {

// Thread-safe. Its I/O runs on the event loop, which outlives it. A plugin is not trusted: a malformed frame, an answer
// to no call, or a queue that it does not read end the connection.
class PluginConnection {
 public:
  // At most once, from any thread: a serialized response, or an error.
  using Reply = std::function<void(absl::StatusOr<std::string>)>;
  // Both from the event loop; must not block.
  struct Owner {
    std::function<void(const std::string& service, const std::string& method, const std::string& request, Reply)>
        on_request;
    // Once, last: why it ended.
    std::function<void(const absl::Status& why)> on_closed;
  };

  // Nothing is read before Start().
  static std::shared_ptr<PluginConnection> Create(EventLoop& loop, UniqueFd socket, Owner owner);
  virtual ~PluginConnection() = default;

  virtual void Start() = 0;

  // What the plugin says: a serialized response, or an error of its own.
  struct Answer {
    absl::Status error;
    std::string response;
  };
  // Blocks; never from the event loop. An error means that the plugin can't be talked to any more (kUnavailable), did
  // not answer in time (kDeadlineExceeded), or the request is longer than a message may be (kOutOfRange).
  virtual absl::StatusOr<Answer> Call(absl::string_view method, const google::protobuf::MessageLite& request,
                                      absl::Time deadline) = 0;

  // Every call under way and to come fails with kUnavailable. Idempotent.
  virtual void Close(const absl::Status& why) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_PLUGIN_CONNECTION_H_
