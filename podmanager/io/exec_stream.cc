#include "podmanager/io/exec_stream.h"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "podmanager/io/output_pump.h"
#include "podmanager/io/stdin_writer.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kWaitInGuest = absl::Seconds(30);
constexpr absl::Duration kAnswerGrace = absl::Seconds(30);
constexpr absl::Duration kPause = absl::Milliseconds(100);  // between questions that failed

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
        stdin_(std::make_shared<StdinWriter>(client_, options_.container_id, options_.exec_id)),
        drain_timer_(loop.context()),
        ask_timer_(loop.context()) {}

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
  void Write(OutputStream stream, std::string data, Tail, std::function<void(size_t)> taken) override {
    const size_t size = data.size();
    if (peer_ == nullptr || !Wanted(stream)) return taken(size);
    waiting_[Index(stream)] = [taken = std::move(taken), size] { taken(size); };
    peer_->Write(stream == OutputStream::kStdout ? PeerOutput::kStdout : PeerOutput::kStderr, std::move(data),
                 [self = shared_from_this(), stream] { self->Taken(stream); });
  }

  void End(OutputStream stream) override {
    if (peer_ != nullptr && Wanted(stream))
      peer_->End(stream == OutputStream::kStdout ? PeerOutput::kStdout : PeerOutput::kStderr);
  }

 private:
  bool Wanted(OutputStream stream) const {
    return stream == OutputStream::kStdout ? options_.want_stdout : options_.want_stderr;
  }

  void Taken(OutputStream stream) {
    const std::function<void()> taken = std::exchange(waiting_[Index(stream)], nullptr);
    if (taken != nullptr) taken();
    if (exit_.has_value()) ArmDrain();
  }

  void OnStarted(const absl::Status& status) {
    if (!status.ok()) {
      // Where the answer is missing, the program may run.
      if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) KillAndRelease();
      return Finish(status);
    }
    started_ = true;
    OutputPumpOptions pump;
    pump.sandbox_id = options_.sandbox_id;
    pump.container_id = options_.container_id;
    pump.exec_id = options_.exec_id;
    pump.tty = options_.tty;
    pump_ = OutputPump::Start(loop_, client_, shared_from_this(), pump, [self = shared_from_this()](absl::Status) {
      // Whatever the reason: there is no more output.
      self->output_ended_ = true;
      self->FinishIfEnded();
    });
    AskExit();
    if (!options_.want_stdin && !options_.tty) stdin_->Close();
    if (peer_ == nullptr) return LeaveProgram();
    if (early_size_.has_value()) stdin_->Resize(*early_size_);
    if (early_taken_ != nullptr) stdin_->Write(std::move(early_data_), std::exchange(early_taken_, nullptr));
    if (stdin_ended_) stdin_->Close();
  }

  // The client has gone.
  void LeaveProgram() {
    if (left_ == Leave::kShutdown) return Signal(SIGKILL);
    if (options_.want_stdin && !stdin_ended_) stdin_->Close();
    if (options_.tty) Signal(SIGHUP);
    // Nobody waits for the output any more: it is read and dropped, so that the program can end.
    for (auto& waiting : waiting_)
      if (const std::function<void()> taken = std::exchange(waiting, nullptr)) taken();
  }

  // Of a program that may not run at all.
  void KillAndRelease() {
    Signal(SIGKILL);
    agent::v1::WaitExitRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWaitInGuest)));
    client_->CallAsync(kExtensionService, "WaitExit", request, absl::Now() + kWaitInGuest + kAnswerGrace,
                       [self = shared_from_this()](const absl::StatusOr<std::string>&) { self->Release(); });
  }

  void Signal(int signal) {
    grpc::SignalProcessRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    request.set_signal(static_cast<uint32_t>(signal));
    client_->CallAsync(kAgentService, "SignalProcess", request, absl::Now() + kAnswerGrace,
                       [](const absl::StatusOr<std::string>&) {});
  }

  void AskExit() {
    asked_at_ = absl::Now();
    if (plain_) return AskPlainExit();
    agent::v1::WaitExitRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWaitInGuest)));
    client_->CallAsync(
        kExtensionService, "WaitExit", request, asked_at_ + kWaitInGuest + kAnswerGrace,
        [self = shared_from_this()](const absl::StatusOr<std::string>& answer) { self->OnExitAnswer(answer); });
  }

  void OnExitAnswer(const absl::StatusOr<std::string>& answer) {
    if (absl::IsUnimplemented(answer.status())) {
      plain_ = true;
      return AskExit();
    }
    if (!answer.ok()) return OnExitError(answer.status());
    agent::v1::ProcessState state;
    if (!state.ParseFromString(*answer))
      return SetExit(absl::DataLossError("WaitExit: the agent's answer is no message"));
    if (state.exited()) return SetExit(state.exit_code());
    // A guest that does not wait as it was asked to is asked less often.
    absl::Now() - asked_at_ >= kWaitInGuest / 2 ? AskExit() : AskExitLater();
  }

  // Asked once: a stock agent forgets the process when it has answered.
  void AskPlainExit() {
    grpc::WaitProcessRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    client_->CallAsync(kAgentService, "WaitProcess", request, absl::InfiniteFuture(),
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (!answer.ok()) return self->OnExitError(answer.status());
                         grpc::WaitProcessResponse response;
                         if (!response.ParseFromString(*answer))
                           return self->SetExit(absl::DataLossError("WaitProcess: the agent's answer is no message"));
                         self->SetExit(response.status());
                       });
  }

  void OnExitError(const absl::Status& status) {
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) return AskExitLater();
    SetExit(status);
  }

  void AskExitLater() {
    ask_timer_.expires_after(absl::ToChronoNanoseconds(kPause));
    ask_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (!cancelled) self->AskExit();
    });
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
      if (cancelled || self->waiting_[0] != nullptr || self->waiting_[1] != nullptr) return;
      self->output_ended_ = true;
      self->FinishIfEnded();
    });
  }

  void FinishIfEnded() {
    if (output_ended_ && exit_.has_value()) Finish(*exit_);
  }

  void Finish(absl::StatusOr<int> exit) {
    if (std::exchange(over_, true)) return;
    drain_timer_.cancel();
    ask_timer_.cancel();
    if (pump_ != nullptr) pump_->Stop();
    pump_ = nullptr;
    stdin_->Abandon();
    if (started_) Release();
    const std::shared_ptr<StreamPeer> peer = std::exchange(peer_, nullptr);
    if (peer == nullptr) return;
    if (absl::IsCancelled(exit.status())) exit = absl::UnavailableError("its sandbox has ended");
    peer->Finish(std::move(exit));
  }

  void Release() {
    agent::v1::ReleaseExecRequest request;
    request.set_container_id(options_.container_id);
    request.set_exec_id(options_.exec_id);
    client_->CallAsync(kExtensionService, "ReleaseExec", request, absl::Now() + kAnswerGrace,
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (!answer.ok() && !absl::IsUnimplemented(answer.status()))
                           spdlog::debug("exec {} in container {} of sandbox {}: release: {}", self->options_.exec_id,
                                         self->options_.container_id, self->options_.sandbox_id,
                                         answer.status().ToString());
                       });
  }

  EventLoop& loop_;
  const std::shared_ptr<AgentClient> client_;
  const ExecStreamOptions options_;
  std::shared_ptr<StreamPeer> peer_;  // null when it has gone, or been told the end
  const std::shared_ptr<StdinWriter> stdin_;
  std::shared_ptr<OutputPump> pump_;
  std::array<std::function<void()>, 2> waiting_;  // the pump's, while the peer takes its time

  bool started_ = false;
  std::string early_data_;  // what came before the start
  std::function<void()> early_taken_;
  std::optional<TerminalSize> early_size_;
  bool stdin_ended_ = false;
  Leave left_ = Leave::kClientGone;

  std::optional<absl::StatusOr<int>> exit_;
  bool output_ended_ = false, over_ = false;
  absl::Time asked_at_;
  bool plain_ = false;  // the agent has no WaitExit
  boost::asio::steady_timer drain_timer_, ask_timer_;
};

}  // namespace

std::shared_ptr<StreamSession> StartExecStream(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                               ExecStreamOptions options, std::shared_ptr<StreamPeer> peer) {
  auto exec = std::make_shared<ExecStream>(loop, std::move(client), std::move(options), std::move(peer));
  exec->Begin();
  return exec;
}

}  // namespace podvisor
