// A client's bytes from the first on: HTTP upgrade, then SPDY or a WebSocket with each protocol that is spoken over it.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/testing/fuzz_input.h"
#include "cri/streaming/http_upgrade.h"
#include "cri/streaming/testing/memory_client.h"

namespace podvisor::cri {
namespace {

enum class Program { kEcho, kNeverReads, kEnds, kDoesNotStart };

int sessions = 0;  // that are alive

// Something in a pod.
class Session final : public StreamSession, public std::enable_shared_from_this<Session> {
 public:
  Session(boost::asio::io_context& context, Program program, std::shared_ptr<StreamPeer> peer)
      : context_(context), program_(program), peer_(std::move(peer)) {
    ++sessions;
  }
  ~Session() override { --sessions; }

  void Begin() {
    if (program_ == Program::kEnds) FinishLater();
  }
  void Write(std::string data, std::function<void()> taken) override {
    Require(!data.empty(), "what is written is not empty");
    Require(!writing_ && !ended_, "one write at a time, and none after the end");
    writing_ = true;
    if (program_ == Program::kNeverReads) {
      never_taken_ = std::move(taken);
      return;
    }
    if (peer_ == nullptr) return;
    peer_->Write(PeerOutput::kStdout, std::move(data), [self = shared_from_this(), taken = std::move(taken)] {
      self->writing_ = false;
      taken();
    });
  }
  void End() override {
    Require(!writing_ && !std::exchange(ended_, true), "the end comes once, after what was written");
    if (peer_ != nullptr) peer_->End(PeerOutput::kStdout);
    FinishLater();
  }
  void Resize(TerminalSize) override {}
  void Hangup(Leave) override {
    peer_ = nullptr;
    never_taken_ = nullptr;
  }

 private:
  void FinishLater() {
    boost::asio::post(context_, [self = shared_from_this()] {
      if (const std::shared_ptr<StreamPeer> peer = std::exchange(self->peer_, nullptr)) peer->Finish(7);
    });
  }

  boost::asio::io_context& context_;
  const Program program_;
  std::shared_ptr<StreamPeer> peer_;  // null after its Finish() and after Hangup()
  std::function<void()> never_taken_;
  bool writing_ = false, ended_ = false;
};

std::optional<StreamRequest> Redeem(const StreamPath& path) {
  StreamRequest request;
  request.kind = path.kind;
  request.id = "3f2a";
  request.ports = {80, 8080};
  request.options = {.tty = path.token == "tty", .want_stdin = true, .want_stdout = true, .want_stderr = true};
  return request;
}

UpgradeOptions Options(boost::asio::io_context& context, Program program) {
  UpgradeOptions options;
  options.conversation.context = &context;
  options.conversation.idle_timeout = options.conversation.creation_timeout = absl::Hours(1);
  options.conversation.linger = options.request_timeout = absl::Hours(1);
  options.redeem = Redeem;
  options.start = [&context, program](
                      const StreamRequest&, uint16_t,
                      std::shared_ptr<StreamPeer> peer) -> absl::StatusOr<std::shared_ptr<StreamSession>> {
    if (program == Program::kDoesNotStart) return absl::NotFoundError("no such program");
    auto session = std::make_shared<Session>(context, program, std::move(peer));
    session->Begin();
    return session;
  };
  return options;
}

void Serve(const std::string& bytes, size_t piece_size, Program program, MemoryClient::Reads reads) {
  boost::asio::io_context context(1);
  auto client = std::make_shared<MemoryClient>(context, bytes, piece_size, reads);
  std::shared_ptr<Conversation> conversation;
  int upgraded = 0, ended = 0;
  std::shared_ptr<HttpUpgrade> upgrade = HttpUpgrade::Begin(
      Transport(context, client), Options(context, program), [&](std::shared_ptr<Conversation> made) {
        Require(++upgraded == 1, "the upgrade ends once");
        conversation = std::move(made);
        if (conversation == nullptr) return;
        conversation->Begin([&] { Require(++ended == 1, "a conversation ends once"); });
      });
  context.poll();
  // Nothing more will happen by itself.
  if (program != Program::kNeverReads && reads == MemoryClient::Reads::kAlways)
    Require(client->closed() || client->all_read(), "a client that is served is listened to");
  if (upgraded == 0) upgrade->Abort();
  if (conversation != nullptr) conversation->Abort();
  context.restart();
  context.poll();
  Require(upgraded == 1 && (conversation == nullptr || ended == 1), "all ends");
  upgrade = nullptr;
  conversation = nullptr;
}

}  // namespace
}  // namespace podvisor::cri

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  FuzzInput input(data, size);
  const uint8_t choice = input.TakeByte();
  cri::Serve(std::string(input.rest()), choice / 8 * 5, static_cast<cri::Program>(choice % 4),
             choice & 4 ? cri::MemoryClient::Reads::kNever : cri::MemoryClient::Reads::kAlways);
  Require(cri::sessions == 0, "no session is left");
  return 0;
}
