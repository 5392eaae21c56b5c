// Exec and attach over SPDY: a stream each for error, stdin, stdout, stderr and resize, named by their header.
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cri/streaming/exit_status.h"
#include "cri/streaming/input_queue.h"
#include "cri/streaming/protocols.h"
#include "cri/streaming/spdy_conversation.h"
#include "cri/streaming/terminal_sizes.h"

namespace podvisor::cri {
namespace {

using spdy::Fin;

class Command final : public SpdyConversation, public StreamPeer {
 public:
  Command(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start, StreamRequest request,
          CommandProtocol protocol)
      : SpdyConversation(options, std::move(wire)),
        start_(std::move(start)),
        request_(std::move(request)),
        protocol_(protocol),
        creation_timer_(*options.context) {}

  // StreamPeer.
  void Write(PeerOutput output, std::string data, std::function<void()> taken) override {
    spdy().Data(Id(output), data, Fin::kNo);
    Flush(std::move(taken));
  }
  void End(PeerOutput output) override {
    spdy().Data(Id(output), "", Fin::kYes);
    Flush();
  }
  void Finish(absl::StatusOr<int> exit) override {
    session_ = nullptr;
    SendEnd(exit);
    Conversation::Finish();
  }

 private:
  void OnBegin() override {
    creation_timer_.expires_after(absl::ToChronoNanoseconds(options().creation_timeout));
    creation_timer_.async_wait([self = shared_from_this(), this](const boost::system::error_code& cancelled) {
      if (!cancelled && !started_) Abort();
    });
    input_ = std::make_shared<InputQueue>([this](size_t bytes) { Release(bytes); });
  }

  void OnStream(uint32_t id, const spdy::Headers& headers) override {
    uint32_t* known = Wanted(spdy::Find(headers, "streamtype"));
    if (known == nullptr || *known != 0) return spdy().Reset(id, spdy::ResetReason::kRefusedStream);
    *known = id;
    spdy().Reply(id);
    Flush();
    if (!started_ && HasAll()) Start();
  }

  void OnData(uint32_t id, absl::string_view data) override {
    if (id == stdin_) {
      Hold(data.size());
      return input_->Push(data);
    }
    if (id != resize_ || resize_ == 0) return;
    const absl::StatusOr<std::vector<TerminalSize>> sizes = sizes_.Feed(data);
    if (!sizes.ok()) return spdy().Reset(id, spdy::ResetReason::kProtocolError);
    for (const TerminalSize& size : *sizes) {
      last_size_ = size;
      if (session_ != nullptr) session_->Resize(size);
    }
  }

  void OnEnd(uint32_t id) override {
    if (id == stdin_) input_->End();
  }

  // A client that resets an output wants the rest of the session none the less.
  void OnReset(uint32_t id) override { OnEnd(id); }

  void OnGone(Leave leave) override {
    creation_timer_.cancel();
    input_->Close();
    if (const std::shared_ptr<StreamSession> session = std::exchange(session_, nullptr)) session->Hangup(leave);
  }

  void OnShutdown() override {
    if (started_) SendEnd(absl::UnavailableError("podvisord is shutting down"));
  }

  void Start() {
    started_ = true;
    creation_timer_.cancel();
    const auto self = std::static_pointer_cast<Command>(shared_from_this());
    absl::StatusOr<std::shared_ptr<StreamSession>> session = start_(request_, 0, self);
    if (!session.ok()) return Finish(session.status());
    session_ = *std::move(session);
    if (last_size_.columns > 0) session_->Resize(last_size_);
    input_->Connect(session_);
  }

  void SendEnd(const absl::StatusOr<int>& exit) {
    const char* what = request_.kind == StreamKind::kExec ? "executing command in container" : "attaching to container";
    if (stdout_ != 0) spdy().Data(stdout_, "", Fin::kYes);
    if (stderr_ != 0) spdy().Data(stderr_, "", Fin::kYes);
    spdy().Data(error_, protocol_.version >= 4 ? ExitStatusJson(exit, what) : ExitStatusText(exit, what), Fin::kYes);
    spdy().GoAway();
    Flush();
  }

  // Where the id of a stream of this type is kept; null if the client is not to open one.
  uint32_t* Wanted(absl::string_view type) {
    if (type == "error") return &error_;
    if (type == "stdin" && request_.options.want_stdin) return &stdin_;
    if (type == "stdout" && request_.options.want_stdout) return &stdout_;
    if (type == "stderr" && WantsStderr()) return &stderr_;
    if (type == "resize" && WantsResize()) return &resize_;
    return nullptr;
  }
  bool WantsStderr() const { return request_.options.want_stderr && !request_.options.tty; }
  bool WantsResize() const { return request_.options.tty && protocol_.version >= 3; }

  bool HasAll() const {
    return error_ != 0 && (stdin_ != 0 || !request_.options.want_stdin) &&
           (stdout_ != 0 || !request_.options.want_stdout) && (stderr_ != 0 || !WantsStderr()) &&
           (resize_ != 0 || !WantsResize());
  }

  uint32_t Id(PeerOutput output) const { return output == PeerOutput::kStdout ? stdout_ : stderr_; }

  const Starter start_;
  const StreamRequest request_;
  const CommandProtocol protocol_;
  boost::asio::steady_timer creation_timer_;
  // Of the streams; 0: not opened.
  uint32_t error_ = 0, stdin_ = 0, stdout_ = 0, stderr_ = 0, resize_ = 0;
  bool started_ = false;
  std::shared_ptr<StreamSession> session_;  // null before and after
  std::shared_ptr<InputQueue> input_;
  TerminalSizes sizes_;
  TerminalSize last_size_;
};

}  // namespace

std::shared_ptr<Conversation> SpdyCommand(ConversationOptions options, std::unique_ptr<Wire> wire, Starter start,
                                          StreamRequest request, CommandProtocol protocol) {
  return std::make_shared<Command>(std::move(options), std::move(wire), std::move(start), std::move(request), protocol);
}

}  // namespace podvisor::cri
