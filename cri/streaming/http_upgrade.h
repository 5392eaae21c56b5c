// From a fresh connection to the protocol that its client asks for.
#ifndef PODVISOR_CRI_STREAMING_HTTP_UPGRADE_H_
#define PODVISOR_CRI_STREAMING_HTTP_UPGRADE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cri/streaming/conversation.h"
#include "cri/streaming/protocols.h"
#include "cri/streaming/stream_request.h"
#include "cri/streaming/transport.h"
#include "cri/streaming/wire.h"

namespace podvisor::cri {

// The path of a streaming URL, "/exec/TOKEN"; nothing for any other.
struct StreamPath {
  StreamKind kind;
  std::string token;
};
std::optional<StreamPath> ParseStreamPath(absl::string_view target);
std::string MakeStreamPath(StreamKind kind, absl::string_view token);

// What a request asks for.
struct Upgrade {
  enum class Kind { kSpdy, kWebSocket };
  Kind kind = Kind::kSpdy;
  std::vector<std::string> protocols;  // as offered
};
// kInvalidArgument for a request that asks for neither.
absl::StatusOr<Upgrade> ParseUpgrade(const UpgradeRequest& request);

struct UpgradeOptions {
  ConversationOptions conversation;  // `subject` is filled in
  absl::Duration request_timeout;
  std::function<std::optional<StreamRequest>(const StreamPath& path)> redeem;
  Starter start;
};

// Under way from Begin() to its end. In the event loop's thread.
class HttpUpgrade {
 public:
  // `done` is called once: with what the client has become, or with null if it was refused or has gone.
  static std::shared_ptr<HttpUpgrade> Begin(Transport transport, UpgradeOptions options,
                                            std::function<void(std::shared_ptr<Conversation>)> done);
  virtual ~HttpUpgrade() = default;
  // `done` is called with null.
  virtual void Abort() = 0;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_HTTP_UPGRADE_H_
