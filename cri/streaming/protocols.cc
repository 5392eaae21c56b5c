#include "cri/streaming/protocols.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace podvisor::cri {
namespace {

constexpr absl::string_view kSpdyForward = "portforward.k8s.io";
constexpr int kLastVersion = 5;

template <typename Known>
std::optional<std::string> FirstKnown(const std::vector<std::string>& offered, const Known& known) {
  if (offered.empty()) return "";
  const auto found = std::find_if(offered.begin(), offered.end(), known);
  if (found == offered.end()) return std::nullopt;
  return *found;
}

// "channel.k8s.io", "v2.channel.k8s.io" to "v5.channel.k8s.io".
bool IsCommandProtocol(absl::string_view name) {
  if (absl::ConsumePrefix(&name, "v")) {
    if (name.size() < 2 || name[0] < '2' || name[0] > '0' + kLastVersion || name[1] != '.') return false;
    name.remove_prefix(2);
  }
  return name == "channel.k8s.io";
}

bool IsWebSocketProtocol(const std::string& name) {
  std::string plain = name;
  if (const size_t base64 = plain.find("base64."); base64 != std::string::npos) plain.erase(base64, 7);
  return IsCommandProtocol(plain);
}

}  // namespace

std::optional<std::string> ChooseSpdyProtocol(StreamKind kind, const std::vector<std::string>& offered) {
  if (kind == StreamKind::kPortForward)
    return FirstKnown(offered, [](const std::string& name) { return name == kSpdyForward; });
  return FirstKnown(offered, [](const std::string& name) { return IsCommandProtocol(name); });
}

std::optional<std::string> ChooseWebSocketProtocol(StreamKind kind, const std::vector<std::string>& offered) {
  if (kind == StreamKind::kPortForward)
    return FirstKnown(offered,
                      [](const std::string& name) { return name == kTunnelProtocol || IsWebSocketProtocol(name); });
  return FirstKnown(offered, IsWebSocketProtocol);
}

CommandProtocol ParseCommandProtocol(absl::string_view name) {
  CommandProtocol protocol;
  if (name.size() > 1 && name[0] == 'v') protocol.version = name[1] - '0';
  if (absl::StrContains(name, "base64.")) protocol.message = MessageType::kText;
  return protocol;
}

}  // namespace podvisor::cri
