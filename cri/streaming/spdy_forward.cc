// Port-forward over SPDY: for each connection a stream for its data and one for an error, with one request id.
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cri/streaming/input_queue.h"
#include "cri/streaming/protocols.h"
#include "cri/streaming/spdy_conversation.h"

namespace podvisor::cri {
namespace {

using spdy::Fin;

class Forward;

// One forwarded connection, as its session sees the client.
class Pair final : public StreamPeer, public std::enable_shared_from_this<Pair> {
 public:
  Pair(std::string id, uint16_t port, Forward& forward);

  void Write(PeerOutput output, std::string data, std::function<void()> taken) override;
  void End(PeerOutput output) override;
  void Finish(absl::StatusOr<int> result) override;

  const std::string id;
  const uint16_t port;
  uint32_t data = 0, error = 0;  // streams; 0: not opened yet
  std::shared_ptr<StreamSession> session;
  std::shared_ptr<InputQueue> input;
  Forward* forward;  // null when the connection is over
};

class Forward final : public SpdyConversation {
 public:
  Forward(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start, StreamRequest request)
      : SpdyConversation(options, std::move(wire)), start_(std::move(start)), request_(std::move(request)) {}

  void SendData(uint32_t id, absl::string_view data, Fin fin, std::function<void()> sent) {
    spdy().Data(id, data, fin);
    Flush(std::move(sent));
  }

  void Taken(size_t bytes) { Release(bytes); }

  void EndPair(Pair& pair, const absl::Status& status) {
    // The client tells a person, so the text is what others say.
    const std::string text =
        status.ok() ? "" : absl::StrCat("error forwarding port ", pair.port, " to pod: ", status.message());
    if (pair.error != 0) spdy().Data(pair.error, text, Fin::kYes);
    if (pair.data != 0) spdy().Data(pair.data, "", Fin::kYes);
    Flush();
    Forget(pair, Leave::kClientGone);
  }

 private:
  void OnBegin() override {}

  void OnStream(uint32_t id, const spdy::Headers& headers) override {
    const absl::string_view type = spdy::Find(headers, "streamtype");
    uint32_t port = 0;
    if ((type != "data" && type != "error") || !absl::SimpleAtoi(spdy::Find(headers, "port"), &port) || port == 0 ||
        port > 0xffff)
      return spdy().Reset(id, spdy::ResetReason::kProtocolError);
    const std::string request_id = RequestId(id, type, spdy::Find(headers, "requestid"));
    // Streams that have ended count for no stream, so their number is no bound.
    if (pairs_.size() >= spdy::kMaxStreams && pairs_.count(request_id) == 0)
      return spdy().Reset(id, spdy::ResetReason::kRefusedStream);
    std::shared_ptr<Pair>& pair = pairs_[request_id];
    if (pair == nullptr) pair = std::make_shared<Pair>(request_id, static_cast<uint16_t>(port), *this);
    uint32_t& stream = type == "data" ? pair->data : pair->error;
    if (stream != 0 || pair->port != port) return spdy().Reset(id, spdy::ResetReason::kRefusedStream);
    stream = id;
    by_stream_[id] = pair;
    spdy().Reply(id);
    Flush();
    if (pair->data != 0 && pair->error != 0) Start(std::shared_ptr<Pair>(pair));
  }

  // Old clients send no request id: they open the error stream first, then its data stream.
  static std::string RequestId(uint32_t stream, absl::string_view type, absl::string_view header) {
    if (!header.empty()) return std::string(header);
    return absl::StrCat("stream ", type == "error" ? stream : stream - 2);
  }

  void Start(const std::shared_ptr<Pair>& pair) {
    absl::StatusOr<std::shared_ptr<StreamSession>> session = start_(request_, pair->port, pair);
    if (!session.ok()) return EndPair(*pair, session.status());
    pair->session = *std::move(session);
    pair->input->Connect(pair->session);
  }

  void OnData(uint32_t id, absl::string_view data) override {
    const std::shared_ptr<Pair> pair = Find(id);
    if (pair == nullptr || pair->data != id) return;
    Hold(data.size());
    pair->input->Push(data);
  }

  void OnEnd(uint32_t id) override {
    const std::shared_ptr<Pair> pair = Find(id);
    if (pair != nullptr && pair->data == id) pair->input->End();
  }

  void OnReset(uint32_t id) override {
    const std::shared_ptr<Pair> pair = Find(id);
    if (pair != nullptr && (pair->data == id || pair->session == nullptr)) EndPair(*pair, absl::OkStatus());
  }

  void OnGone(Leave leave) override {
    while (!pairs_.empty()) Forget(*std::shared_ptr<Pair>(pairs_.begin()->second), leave);
  }

  void OnShutdown() override {
    spdy().GoAway();
    Flush();
  }

  std::shared_ptr<Pair> Find(uint32_t id) const {
    const auto found = by_stream_.find(id);
    return found == by_stream_.end() ? nullptr : found->second;
  }

  void Forget(Pair& pair, Leave leave) {
    pair.input->Close();
    pair.forward = nullptr;
    if (const std::shared_ptr<StreamSession> session = std::exchange(pair.session, nullptr)) session->Hangup(leave);
    by_stream_.erase(pair.data);
    by_stream_.erase(pair.error);
    pairs_.erase(std::string(pair.id));
  }

  const Starter start_;
  const StreamRequest request_;
  std::map<std::string, std::shared_ptr<Pair>> pairs_;  // by request id
  std::map<uint32_t, std::shared_ptr<Pair>> by_stream_;
};

Pair::Pair(std::string id_in, uint16_t port_in, Forward& forward_in)
    : id(std::move(id_in)),
      port(port_in),
      input(std::make_shared<InputQueue>([this](size_t bytes) {
        if (forward != nullptr) forward->Taken(bytes);
      })),
      forward(&forward_in) {}

void Pair::Write(PeerOutput, std::string bytes, std::function<void()> taken) {
  if (forward != nullptr) forward->SendData(data, bytes, Fin::kNo, std::move(taken));
}

void Pair::End(PeerOutput) {
  if (forward != nullptr) forward->SendData(data, "", Fin::kYes, nullptr);
}

void Pair::Finish(absl::StatusOr<int> result) {
  session = nullptr;
  if (forward != nullptr) forward->EndPair(*this, result.status());
}

}  // namespace

std::shared_ptr<Conversation> SpdyForward(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                          StreamRequest request) {
  return std::make_shared<Forward>(std::move(options), std::move(wire), std::move(start), std::move(request));
}

}  // namespace podvisor::cri
