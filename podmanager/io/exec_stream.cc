#include "podmanager/io/exec_stream.h"

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/io/exec_end.h"
#include "podmanager/io/output_pump.h"
#include "podmanager/io/stdin_writer.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

// As much as the agent keeps of a stream: the fewer calls, the less its guest has to do.
constexpr uint32_t kPiece = 256 << 10;

size_t Index(OutputStream stream) { return stream == OutputStream::kStdout ? 0 : 1; }

// All in the event loop's thread. Kept alive by its pump and by its calls under way.
class ExecStream final : public StreamSession, public OutputSink, public std::enable_shared_from_this<ExecStream> {
 public:
  ExecStream(EventLoop& loop, std::shared_ptr<AgentClient> client, ExecStreamOptions options,
             std::shared_ptr<StreamPeer> peer)
      : loop_(loop),
        client_(std::move(client)),
        options_(std::move(options)),
        peer_(std::move(peer)),
        stdin_(std::make_shared<StdinWriter>(client_, options_.container_id, options_.exec_id, options_.shared_folder)),
        end_(ExecEnd::Create(loop, client_, {options_.sandbox_id, options_.container_id, options_.exec_id})),
        drain_timer_(loop.context()) {}

  void Begin() {
    grpc::ExecProcessRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    *request.mutable_process() = options_.process;
    client_->CallAsync(
        kAgentService, "ExecProcess", request, absl::Now() + options_.start_timeout,
        [self = shared_from_this()](const absl::StatusOr<std::string>& answer) { self->OnStarted(answer.status()); });
  }

  void Write(std::string data, std::function<void()> taken) override {
    if (over_ || !options_.want_stdin) return taken();
    if (started_) return stdin_->Write(std::move(data), std::move(taken));
    early_data_ = std::move(data);
    early_taken_ = std::move(taken);
  }

  void End() override {
    if (!options_.want_stdin || std::exchange(stdin_ended_, true)) return;
    if (started_) stdin_->Close();
  }

  void Resize(TerminalSize size) override {
    if (!options_.tty || over_) return;
    if (started_) return stdin_->Resize(size);
    early_size_ = size;
  }

  void Hangup(Leave leave) override {
    if (peer_ == nullptr) return;
    peer_ = nullptr;
    early_taken_ = nullptr;
    stdin_->Abandon();
    left_ = leave;
    if (started_) LeaveProgram();
  }

  // OutputSink: the pump's side.
  void Write(OutputStream stream, std::string data, Tail tail, std::function<void(size_t)> taken) override {
    if (peer_ == nullptr || !Wanted(stream)) return taken(data.size());
    Piece piece{.data = std::move(data), .last = tail == Tail::kFlush, .taken = std::move(taken)};
    Lane& lane = lanes_[Index(stream)];
    if (lane.busy)
      lane.next = std::move(piece);
    else
      Send(stream, std::move(piece));
  }

  void End(OutputStream stream) override {
    Lane& lane = lanes_[Index(stream)];
    lane.ended = true;
    if (!lane.busy) TellEnd(stream);
  }

 private:
  struct Piece {
    std::string data;
    bool last;  // as far as the pump knows
    std::function<void(size_t)> taken;
  };
  // The peer takes one piece of an output at a time. The next one is fetched meanwhile, and waits here.
  struct Lane {
    bool busy = false;
    std::function<void()> taken;  // of the piece on its way, if the pump has not been told yet
    std::optional<Piece> next;
    bool ended = false;
  };

  bool Wanted(OutputStream stream) const {
    return stream == OutputStream::kStdout ? options_.want_stdout : options_.want_stderr;
  }
  static PeerOutput OutputOf(OutputStream stream) {
    return stream == OutputStream::kStdout ? PeerOutput::kStdout : PeerOutput::kStderr;
  }

  void Send(OutputStream stream, Piece piece) {
    Lane& lane = lanes_[Index(stream)];
    lane.busy = true;
    const size_t size = piece.data.size();
    // After the last one nothing is to be fetched, and its being taken ends the session.
    if (piece.last)
      lane.taken = [taken = std::move(piece.taken), size] { taken(size); };
    else
      piece.taken(size);
    if (peer_ == nullptr) return;
    peer_->Write(OutputOf(stream), std::move(piece.data), [self = shared_from_this(), stream] { self->Taken(stream); });
  }

  void Taken(OutputStream stream) {
    Lane& lane = lanes_[Index(stream)];
    lane.busy = false;
    if (const std::function<void()> taken = std::exchange(lane.taken, nullptr)) taken();
    if (peer_ != nullptr && lane.next.has_value()) {
      Piece next = *std::move(lane.next);
      lane.next.reset();
      Send(stream, std::move(next));
    }
    if (!lane.busy && lane.ended) TellEnd(stream);
    if (exit_.has_value()) ArmDrain();
    FinishIfEnded();
  }

  void TellEnd(OutputStream stream) {
    lanes_[Index(stream)].ended = false;  // once
    if (peer_ != nullptr && Wanted(stream)) peer_->End(OutputOf(stream));
  }

  void OnStarted(const absl::Status& status) {
    if (!status.ok()) {
      // Where the answer is missing, the program may run.
      if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) end_->KillAndRelease();
      return Finish(status);
    }
    started_ = true;
    OutputPumpOptions pump;
    pump.sandbox_id = options_.sandbox_id;
    pump.container_id = options_.container_id;
    pump.exec_id = options_.exec_id;
    pump.tty = options_.tty;
    pump.max_bytes = kPiece;
    pump_ = OutputPump::Start(loop_, client_, shared_from_this(), pump, [self = shared_from_this()](absl::Status) {
      // Whatever the reason: there is no more output.
      self->output_ended_ = true;
      self->FinishIfEnded();
    });
    end_->Ask([self = shared_from_this()](absl::StatusOr<int> exit) { self->SetExit(std::move(exit)); });
    if (!options_.want_stdin && !options_.tty) stdin_->Close();
    if (peer_ == nullptr) return LeaveProgram();
    if (early_size_.has_value()) stdin_->Resize(*early_size_);
    if (early_taken_ != nullptr) stdin_->Write(std::move(early_data_), std::exchange(early_taken_, nullptr));
    if (stdin_ended_) stdin_->Close();
  }

  // The client has gone.
  void LeaveProgram() {
    if (left_ == Leave::kShutdown) return end_->Signal(SIGKILL);
    if (options_.want_stdin && !stdin_ended_) stdin_->Close();
    if (options_.tty) end_->Signal(SIGHUP);
    // Nobody waits for the output any more: it is read and dropped, so that the program can end.
    for (Lane& lane : lanes_) {
      lane.busy = false;
      if (const std::function<void()> taken = std::exchange(lane.taken, nullptr)) taken();
      if (const std::optional<Piece> next = std::exchange(lane.next, std::nullopt)) next->taken(next->data.size());
    }
  }

  void SetExit(absl::StatusOr<int> exit) {
    if (exit_.has_value()) return;
    exit_ = std::move(exit);
    if (!exit_->ok()) return Finish(*exit_);
    ArmDrain();
    FinishIfEnded();
  }

  // A child left behind may hold the output open: it is waited for as long as the peer is slow, then `drain`.
  void ArmDrain() {
    if (over_) return;
    drain_timer_.expires_after(absl::ToChronoNanoseconds(options_.drain));
    drain_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (cancelled || self->Busy()) return;
      self->output_ended_ = true;
      self->FinishIfEnded();
    });
  }

  void FinishIfEnded() {
    if (output_ended_ && exit_.has_value() && !Busy()) Finish(*exit_);
  }

  bool Busy() const { return lanes_[0].busy || lanes_[1].busy; }

  void Finish(absl::StatusOr<int> exit) {
    if (std::exchange(over_, true)) return;
    drain_timer_.cancel();
    end_->StopAsking();
    if (pump_ != nullptr) pump_->Stop();
    pump_ = nullptr;
    stdin_->Abandon();
    if (started_) end_->Release();
    const std::shared_ptr<StreamPeer> peer = std::exchange(peer_, nullptr);
    if (peer == nullptr) return;
    if (absl::IsCancelled(exit.status())) exit = absl::UnavailableError("its sandbox has ended");
    peer->Finish(std::move(exit));
  }

  EventLoop& loop_;
  const std::shared_ptr<AgentClient> client_;
  const ExecStreamOptions options_;
  std::shared_ptr<StreamPeer> peer_;  // null when it has gone, or been told the end
  const std::shared_ptr<StdinWriter> stdin_;
  const std::shared_ptr<ExecEnd> end_;
  std::shared_ptr<OutputPump> pump_;
  std::array<Lane, 2> lanes_;  // by Index()

  bool started_ = false;
  std::string early_data_;  // what came before the start
  std::function<void()> early_taken_;
  std::optional<TerminalSize> early_size_;
  bool stdin_ended_ = false;
  Leave left_ = Leave::kClientGone;

  std::optional<absl::StatusOr<int>> exit_;
  bool output_ended_ = false, over_ = false;
  boost::asio::steady_timer drain_timer_;
};

}  // namespace

std::shared_ptr<StreamSession> StartExecStream(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                               ExecStreamOptions options, std::shared_ptr<StreamPeer> peer) {
  auto exec = std::make_shared<ExecStream>(loop, std::move(client), std::move(options), std::move(peer));
  exec->Begin();
  return exec;
}

}  // namespace podvisor
