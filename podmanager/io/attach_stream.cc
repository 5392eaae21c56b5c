#include "podmanager/io/attach_stream.h"

#include <array>
#include <boost/asio/post.hpp>
#include <utility>
#include <vector>

#include "podmanager/io/output_sink.h"
#include "podmanager/io/stdin_writer.h"

namespace podvisor {
namespace {

// All in the event loop's thread. Kept alive by the log, as its tap, until it is removed.
class AttachStream final : public StreamSession, public OutputTap, public std::enable_shared_from_this<AttachStream> {
 public:
  AttachStream(std::shared_ptr<AgentClient> client, AttachStreamOptions options, std::shared_ptr<StreamPeer> peer)
      : options_(std::move(options)),
        peer_(std::move(peer)),
        stdin_(std::make_shared<StdinWriter>(std::move(client), options_.container_id, "", options_.shared_folder)) {}

  void Begin() { options_.log->AddTap(shared_from_this()); }

  // StreamSession: the client's side.
  void Write(std::string data, std::function<void()> taken) override {
    if (peer_ == nullptr || !options_.want_stdin) return taken();
    stdin_->Write(std::move(data), std::move(taken));
  }

  void End() override {
    if (peer_ == nullptr || !options_.want_stdin) return;
    if (options_.stdin_once && !options_.tty) return CloseStdin();
    Finish();
  }

  void Resize(TerminalSize size) override {
    if (peer_ != nullptr && options_.tty) stdin_->Resize(size);
  }

  void Hangup(Leave leave) override {
    if (peer_ == nullptr) return;
    if (leave == Leave::kClientGone && options_.want_stdin && options_.stdin_once && !options_.tty) CloseStdin();
    Detach();
  }

  // OutputTap: the container's side.
  void Data(OutputStream stream, absl::string_view data) override {
    if (peer_ == nullptr || !Wanted(stream)) return;
    Side& side = Of(stream);
    side.full = true;
    peer_->Write(Name(stream), std::string(data), [self = shared_from_this(), stream] {
      Side& side = self->Of(stream);
      side.full = false;
      if (const std::function<void()> resume = std::exchange(side.resume, nullptr)) resume();
    });
  }

  bool Ready(OutputStream stream, std::function<void()> resume) override {
    Side& side = Of(stream);
    if (!side.full || peer_ == nullptr) return true;
    side.resume = std::move(resume);
    return false;
  }

  void End(OutputStream stream) override {
    if (std::exchange(Of(stream).ended, true)) return;
    if (peer_ != nullptr && Wanted(stream)) peer_->End(Name(stream));
    if (Of(OutputStream::kStdout).ended && (options_.tty || Of(OutputStream::kStderr).ended)) Finish();
  }

 private:
  // One of the two outputs.
  struct Side {
    bool full = false;  // the peer has not taken the last piece yet
    bool ended = false;
    std::function<void()> resume;
  };

  static PeerOutput Name(OutputStream stream) {
    return stream == OutputStream::kStdout ? PeerOutput::kStdout : PeerOutput::kStderr;
  }
  Side& Of(OutputStream stream) { return sides_[stream == OutputStream::kStdout ? 0 : 1]; }
  bool Wanted(OutputStream stream) const {
    return stream == OutputStream::kStdout ? options_.want_stdout : options_.want_stderr;
  }

  void CloseStdin() {
    if (!std::exchange(stdin_closed_, true)) stdin_->Close();
  }

  void Finish() {
    const std::shared_ptr<StreamPeer> peer = peer_;
    Detach();
    if (peer != nullptr) peer->Finish(0);
  }

  void Detach() {
    peer_ = nullptr;
    stdin_->Abandon();
    if (const std::shared_ptr<ContainerLog> log = std::exchange(options_.log, nullptr))
      log->RemoveTap(shared_from_this());
    for (Side& side : sides_)
      if (const std::function<void()> resume = std::exchange(side.resume, nullptr)) resume();
  }

  AttachStreamOptions options_;       // `log` is dropped at the end
  std::shared_ptr<StreamPeer> peer_;  // likewise
  const std::shared_ptr<StdinWriter> stdin_;
  std::array<Side, 2> sides_;
  bool stdin_closed_ = false;
};

}  // namespace

std::shared_ptr<StreamSession> StartAttachStream(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                                 AttachStreamOptions options, std::shared_ptr<StreamPeer> peer) {
  auto attach = std::make_shared<AttachStream>(std::move(client), std::move(options), std::move(peer));
  // Not at once: the peer is not called before its owner has this session.
  boost::asio::post(loop.context(), [attach] { attach->Begin(); });
  return attach;
}

}  // namespace podvisor
