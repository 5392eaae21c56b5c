// Exec and attach over a WebSocket: a channel each for stdin, stdout, stderr, error and resize.
#include <utility>

#include "absl/status/status.h"
#include "cri/streaming/exit_status.h"
#include "cri/streaming/input_queue.h"
#include "cri/streaming/protocols.h"
#include "cri/streaming/terminal_sizes.h"
#include "cri/streaming/websocket_channels.h"

namespace podvisor::cri {
namespace {

class Command final : public Conversation, public StreamPeer {
 public:
  Command(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start, StreamRequest request,
          CommandProtocol protocol)
      : Conversation(std::move(options), std::move(wire)),
        start_(std::move(start)),
        request_(std::move(request)),
        protocol_(protocol) {}

  // StreamPeer.
  void Write(PeerOutput output, std::string data, std::function<void()> taken) override {
    SendTo(output == PeerOutput::kStdout ? kStdoutChannel : kStderrChannel, data, std::move(taken));
  }
  void End(PeerOutput) override {}  // the protocol has no word for it
  void Finish(absl::StatusOr<int> exit) override {
    session_ = nullptr;
    SendEnd(exit);
    Conversation::Finish();
  }

 private:
  void OnBegin() override {
    input_ = std::make_shared<InputQueue>([this](size_t bytes) { Release(bytes); });
    // Tells the client that the connection stands.
    const StreamOptions& wanted = request_.options;
    SendTo(wanted.want_stdout ? kStdoutChannel : wanted.want_stderr ? kStderrChannel : kErrorChannel, "", nullptr);
    const auto self = std::static_pointer_cast<Command>(shared_from_this());
    absl::StatusOr<std::shared_ptr<StreamSession>> session = start_(request_, 0, self);
    if (!session.ok()) return Finish(session.status());
    session_ = *std::move(session);
    input_->Connect(session_);
  }

  absl::Status OnInput(std::string data) override {
    absl::StatusOr<ChannelMessage> message = ParseChannelMessage(data, protocol_.message);
    if (!message.ok()) return message.status();
    switch (message->channel) {
      case kStdinChannel:
        if (message->data.empty()) return absl::OkStatus();
        Hold(message->data.size());
        input_->Push(message->data);
        return absl::OkStatus();
      case kResizeChannel:
        return Resize(message->data);
      case kCloseChannel:
        if (protocol_.version < 5) return absl::OkStatus();
        if (message->data.size() != 1) return absl::InvalidArgumentError("WebSocket: a close of no channel");
        if (static_cast<uint8_t>(message->data[0]) == kStdinChannel) input_->End();
        return absl::OkStatus();
      default:
        return absl::OkStatus();
    }
  }

  absl::Status Resize(absl::string_view data) {
    TerminalSizes whole;  // a message holds whole sizes
    const absl::StatusOr<std::vector<TerminalSize>> sizes = whole.Feed(data);
    if (!sizes.ok()) return sizes.status();
    for (const TerminalSize& size : *sizes)
      if (session_ != nullptr) session_->Resize(size);
    return absl::OkStatus();
  }

  void OnGone(Leave leave) override {
    input_->Close();
    if (const std::shared_ptr<StreamSession> session = std::exchange(session_, nullptr)) session->Hangup(leave);
  }

  void OnShutdown() override { SendEnd(absl::UnavailableError("podvisord is shutting down")); }

  void SendTo(uint8_t channel, absl::string_view data, std::function<void()> sent) {
    Send(MakeChannelMessage(channel, data, protocol_.message), std::move(sent));
  }

  void SendEnd(const absl::StatusOr<int>& exit) {
    const char* what = request_.kind == StreamKind::kExec ? "executing command in container" : "attaching to container";
    const std::string text = protocol_.version >= 4 ? ExitStatusJson(exit, what) : ExitStatusText(exit, what);
    if (!text.empty()) SendTo(kErrorChannel, text, nullptr);
  }

  const Starter start_;
  const StreamRequest request_;
  const CommandProtocol protocol_;
  std::shared_ptr<StreamSession> session_;  // null before and after
  std::shared_ptr<InputQueue> input_;
};

}  // namespace

std::shared_ptr<Conversation> WebSocketCommand(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                               StreamRequest request, CommandProtocol protocol) {
  return std::make_shared<Command>(std::move(options), std::move(wire), std::move(start), std::move(request), protocol);
}

}  // namespace podvisor::cri
