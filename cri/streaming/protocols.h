// The protocols that clients speak, and what each makes of a request.
// Sources: k8s.io/apimachinery/pkg/util/remotecommand, k8s.io/client-go/tools/remotecommand and tools/portforward,
// k8s.io/apiserver/pkg/util/wsstream.
#ifndef PODVISOR_CRI_STREAMING_PROTOCOLS_H_
#define PODVISOR_CRI_STREAMING_PROTOCOLS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cri/streaming/conversation.h"
#include "cri/streaming/stream_request.h"
#include "cri/streaming/wire.h"
#include "podmanager/stream_session.h"

namespace podvisor::cri {

// What remote command's versions differ in. SPDY: 1 and 2 have no resize, from 4 on errors are a v1.Status. WebSocket:
// likewise, and 5 can close stdin.
struct CommandProtocol {
  int version = 1;
  MessageType message = MessageType::kBinary;  // WebSocket: kText is base64
};

// The first of the client's protocols that is known, or nothing. No protocol at all is version 1.
std::optional<std::string> ChooseSpdyProtocol(StreamKind kind, const std::vector<std::string>& offered);
std::optional<std::string> ChooseWebSocketProtocol(StreamKind kind, const std::vector<std::string>& offered);
// Of "v4.base64.channel.k8s.io" and its kin.
CommandProtocol ParseCommandProtocol(absl::string_view name);

// SPDY in a WebSocket's messages.
inline constexpr char kTunnelProtocol[] = "SPDY/3.1+portforward.k8s.io";

// Starts what a request asks for. `port` is for kPortForward.
using Starter = std::function<absl::StatusOr<std::shared_ptr<StreamSession>>(
    const StreamRequest& request, uint16_t port, std::shared_ptr<StreamPeer> peer)>;

// Each with a wire that speaks it.
std::shared_ptr<Conversation> SpdyCommand(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                          StreamRequest request, CommandProtocol protocol);
std::shared_ptr<Conversation> SpdyForward(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                          StreamRequest request);
std::shared_ptr<Conversation> WebSocketCommand(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                               StreamRequest request, CommandProtocol protocol);
std::shared_ptr<Conversation> WebSocketForward(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                               StreamRequest request, CommandProtocol protocol);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_PROTOCOLS_H_
