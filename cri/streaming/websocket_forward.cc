// Port-forward over a WebSocket: two channels for each of the request's ports, one for data and one for an error. The
// first message of each is the port, in two bytes, the low one first.
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cri/streaming/input_queue.h"
#include "cri/streaming/protocols.h"
#include "cri/streaming/websocket_channels.h"

namespace podvisor::cri {
namespace {

class Forward;

class Port final : public StreamPeer {
 public:
  Port(uint16_t port_in, uint8_t channel_in, Forward& forward_in);

  void Write(PeerOutput output, std::string data, std::function<void()> taken) override;
  void End(PeerOutput) override {}  // the protocol has no word for it
  void Finish(absl::StatusOr<int> result) override;

  const uint16_t port;
  const uint8_t channel;  // of its data; the next one is for an error
  std::shared_ptr<StreamSession> session;
  std::shared_ptr<InputQueue> input;
  Forward* forward;  // null when the connection is over
};

class Forward final : public Conversation {
 public:
  Forward(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start, StreamRequest request,
          CommandProtocol protocol)
      : Conversation(std::move(options), std::move(wire)),
        start_(std::move(start)),
        request_(std::move(request)),
        protocol_(protocol) {}

  void SendTo(uint8_t channel, absl::string_view data, std::function<void()> sent) {
    Send(MakeChannelMessage(channel, data, protocol_.message), std::move(sent));
  }
  void Taken(size_t bytes) { Release(bytes); }

  void EndPort(Port& port, const absl::Status& status) {
    if (!status.ok())
      SendTo(static_cast<uint8_t>(port.channel + 1),
             absl::StrCat("error forwarding port ", port.port, " to pod: ", status.message()), nullptr);
    HangUp(port, Leave::kClientGone);
    if (--open_ == 0) Finish();
  }

 private:
  void OnBegin() override {
    if (request_.ports.empty()) return Finish();
    open_ = request_.ports.size();
    for (const uint16_t number : request_.ports) {
      ports_.push_back(std::make_shared<Port>(number, static_cast<uint8_t>(2 * ports_.size()), *this));
      const std::string bytes = {static_cast<char>(number & 0xff), static_cast<char>(number >> 8)};
      SendTo(ports_.back()->channel, bytes, nullptr);
      SendTo(static_cast<uint8_t>(ports_.back()->channel + 1), bytes, nullptr);
    }
    for (const std::shared_ptr<Port>& port : std::vector<std::shared_ptr<Port>>(ports_)) {
      absl::StatusOr<std::shared_ptr<StreamSession>> session = start_(request_, port->port, port);
      if (!session.ok()) {
        EndPort(*port, session.status());
        continue;
      }
      port->session = *std::move(session);
      port->input->Connect(port->session);
    }
  }

  absl::Status OnInput(std::string data) override {
    absl::StatusOr<ChannelMessage> message = ParseChannelMessage(data, protocol_.message);
    if (!message.ok()) return message.status();
    const size_t index = message->channel / 2;
    if (message->channel % 2 != 0 || index >= ports_.size() || message->data.empty()) return absl::OkStatus();
    if (ports_[index]->forward == nullptr) return absl::OkStatus();  // it has ended, and the others go on
    Hold(message->data.size());
    ports_[index]->input->Push(message->data);
    return absl::OkStatus();
  }

  void OnGone(Leave leave) override {
    for (const std::shared_ptr<Port>& port : ports_) HangUp(*port, leave);
  }

  void OnShutdown() override {}

  static void HangUp(Port& port, Leave leave) {
    port.input->Close();
    port.forward = nullptr;
    if (const std::shared_ptr<StreamSession> session = std::exchange(port.session, nullptr)) session->Hangup(leave);
  }

  const Starter start_;
  const StreamRequest request_;
  const CommandProtocol protocol_;
  std::vector<std::shared_ptr<Port>> ports_;
  size_t open_ = 0;
};

Port::Port(uint16_t port_in, uint8_t channel_in, Forward& forward_in)
    : port(port_in),
      channel(channel_in),
      input(std::make_shared<InputQueue>([this](size_t bytes) {
        if (forward != nullptr) forward->Taken(bytes);
      })),
      forward(&forward_in) {}

void Port::Write(PeerOutput, std::string data, std::function<void()> taken) {
  if (forward != nullptr) forward->SendTo(channel, data, std::move(taken));
}

void Port::Finish(absl::StatusOr<int> result) {
  session = nullptr;
  if (forward != nullptr) forward->EndPort(*this, result.status());
}

}  // namespace

std::shared_ptr<Conversation> WebSocketForward(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                               StreamRequest request, CommandProtocol protocol) {
  return std::make_shared<Forward>(std::move(options), std::move(wire), std::move(start), std::move(request), protocol);
}

}  // namespace podvisor::cri
