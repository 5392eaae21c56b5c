// Messages that begin with the number of a channel.
// Source: k8s.io/apiserver/pkg/util/wsstream (channel.k8s.io and base64.channel.k8s.io), KEP-4006 for version 5.
#ifndef PODVISOR_CRI_STREAMING_WEBSOCKET_CHANNELS_H_
#define PODVISOR_CRI_STREAMING_WEBSOCKET_CHANNELS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cri/streaming/wire.h"

namespace podvisor::cri {

inline constexpr uint8_t kStdinChannel = 0, kStdoutChannel = 1, kStderrChannel = 2, kErrorChannel = 3,
                         kResizeChannel = 4, kCloseChannel = 255;

struct ChannelMessage {
  uint8_t channel = 0;
  std::string data;
};

// kBinary: a byte, then the data; kText: a digit, then the data in base64. kInvalidArgument for what is neither.
absl::StatusOr<ChannelMessage> ParseChannelMessage(absl::string_view message, MessageType type);
std::string MakeChannelMessage(uint8_t channel, absl::string_view data, MessageType type);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_WEBSOCKET_CHANNELS_H_
