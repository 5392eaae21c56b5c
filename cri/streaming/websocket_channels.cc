#include "cri/streaming/websocket_channels.h"

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace podvisor::cri {

absl::StatusOr<ChannelMessage> ParseChannelMessage(absl::string_view message, MessageType type) {
  if (message.empty()) return absl::InvalidArgumentError("WebSocket: a message without a channel");
  ChannelMessage parsed;
  const auto first = static_cast<uint8_t>(message[0]);
  message.remove_prefix(1);
  if (type == MessageType::kBinary) {
    parsed.channel = first;
    parsed.data = std::string(message);
    return parsed;
  }
  if (first < '0') return absl::InvalidArgumentError("WebSocket: a channel that is no digit");
  parsed.channel = static_cast<uint8_t>(first - '0');
  if (!absl::Base64Unescape(message, &parsed.data))
    return absl::InvalidArgumentError("WebSocket: data that is not base64");
  return parsed;
}

std::string MakeChannelMessage(uint8_t channel, absl::string_view data, MessageType type) {
  if (type == MessageType::kText) return absl::StrCat(std::string(1, '0' + channel), absl::Base64Escape(data));
  std::string message(1, static_cast<char>(channel));
  message.append(data.data(), data.size());
  return message;
}

}  // namespace podvisor::cri
