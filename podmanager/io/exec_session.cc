#include "podmanager/io/exec_session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "podmanager/io/output_pump.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kWaitInGuest = absl::Seconds(30);
constexpr absl::Duration kAnswerGrace = absl::Seconds(30);
constexpr absl::Duration kCleanUpTime = absl::Seconds(30);
constexpr absl::Duration kPause = absl::Milliseconds(100);  // between questions that failed

// Keeps the beginning of both streams. Written in the event loop, read by the caller's thread.
class CollectingSink : public OutputSink {
 public:
  explicit CollectingSink(size_t limit) : limit_(limit) {}

  void Write(OutputStream stream, std::string data, Tail, std::function<void(size_t)> taken) override {
    {
      absl::MutexLock lock(&mu_);
      std::string& text = text_[stream == OutputStream::kStdout ? 0 : 1];
      text.append(data, 0, std::min(data.size(), limit_ - text.size()));
    }
    taken(data.size());
  }
  void End(OutputStream) override {}

  std::array<std::string, 2> Take() {
    absl::MutexLock lock(&mu_);
    return std::exchange(text_, {});
  }

 private:
  const size_t limit_;
  absl::Mutex mu_;
  std::array<std::string, 2> text_ ABSL_GUARDED_BY(mu_);
};

// One exec under way. Kept alive by the calls that it makes.
class Exec : public std::enable_shared_from_this<Exec> {
 public:
  Exec(EventLoop& loop, std::shared_ptr<AgentClient> client, const ExecSyncOptions& options)
      : loop_(loop),
        client_(std::move(client)),
        sandbox_id_(options.sandbox_id),
        container_id_(options.container_id),
        exec_id_(options.exec_id),
        sink_(std::make_shared<CollectingSink>(options.output_limit)),
        timer_(loop.context()) {}

  // Reads the output and waits for the exit, until Leave().
  void Follow() {
    OutputPumpOptions options;
    options.sandbox_id = sandbox_id_;
    options.container_id = container_id_;
    options.exec_id = exec_id_;
    pump_ = OutputPump::Start(loop_, client_, sink_, options, [self = shared_from_this()](absl::Status) {
      // Whatever the reason: there is no more output.
      absl::MutexLock lock(&self->mu_);
      self->output_ended_ = true;
    });
    // Nobody writes to its stdin, so it is to see its end. A stock agent without stdin answers an error: no matter.
    grpc::CloseStdinRequest close;
    close.set_container_id(container_id_);
    close.set_exec_id(exec_id_);
    client_->CallAsync(kAgentService, "CloseStdin", close, absl::Now() + kAnswerGrace,
                       [](const absl::StatusOr<std::string>&) {});
    boost::asio::dispatch(loop_.context(), [self = shared_from_this()] { self->AskExit(); });
  }

  // The exit code, or an error; none if it has not ended by `deadline`.
  std::optional<absl::StatusOr<int>> WaitExit(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithDeadline(absl::Condition(this, &Exec::HasExited), deadline);
    return exit_;
  }

  void WaitOutput(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithDeadline(absl::Condition(&output_ended_), deadline);
  }

  std::array<std::string, 2> TakeOutput() { return sink_->Take(); }

  // Ends following; the guest forgets the exec, killed first if need be. Does not block.
  void Leave() {
    if (pump_ != nullptr) pump_->Stop();
    bool exited;
    {
      absl::MutexLock lock(&mu_);
      left_ = true;
      exited = exit_.has_value() && exit_->ok();
    }
    if (exited) return Release();
    grpc::SignalProcessRequest kill;
    kill.set_container_id(container_id_);
    kill.set_exec_id(exec_id_);
    kill.set_signal(SIGKILL);
    client_->CallAsync(kAgentService, "SignalProcess", kill, absl::Now() + kCleanUpTime,
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (!answer.ok())
                           spdlog::debug("exec {} in container {} of sandbox {}: kill: {}", self->exec_id_,
                                         self->container_id_, self->sandbox_id_, answer.status().ToString());
                         self->ReapAndRelease();
                       });
  }

 private:
  bool HasExited() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return exit_.has_value(); }

  void AskExit() {
    {
      absl::MutexLock lock(&mu_);
      if (left_) return;
    }
    asked_at_ = absl::Now();
    if (plain_) return AskPlainExit();
    agent::v1::WaitExitRequest request;
    request.set_container_id(container_id_);
    request.set_exec_id(exec_id_);
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
    request.set_container_id(container_id_);
    request.set_exec_id(exec_id_);
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
    timer_.expires_after(absl::ToChronoNanoseconds(kPause));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (!cancelled) self->AskExit();
    });
  }

  void SetExit(absl::StatusOr<int> exit) {
    absl::MutexLock lock(&mu_);
    if (!exit_.has_value()) exit_ = std::move(exit);
  }

  // After the kill: ReleaseExec wants an exec that has exited.
  void ReapAndRelease() {
    agent::v1::WaitExitRequest request;
    request.set_container_id(container_id_);
    request.set_exec_id(exec_id_);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWaitInGuest)));
    client_->CallAsync(kExtensionService, "WaitExit", request, absl::Now() + kWaitInGuest + kAnswerGrace,
                       [self = shared_from_this()](const absl::StatusOr<std::string>&) { self->Release(); });
  }

  void Release() {
    agent::v1::ReleaseExecRequest request;
    request.set_container_id(container_id_);
    request.set_exec_id(exec_id_);
    client_->CallAsync(kExtensionService, "ReleaseExec", request, absl::Now() + kCleanUpTime,
                       [self = shared_from_this()](const absl::StatusOr<std::string>& answer) {
                         if (!answer.ok() && !absl::IsUnimplemented(answer.status()))
                           spdlog::debug("exec {} in container {} of sandbox {}: release: {}", self->exec_id_,
                                         self->container_id_, self->sandbox_id_, answer.status().ToString());
                       });
  }

  EventLoop& loop_;
  const std::shared_ptr<AgentClient> client_;
  const std::string sandbox_id_, container_id_, exec_id_;
  const std::shared_ptr<CollectingSink> sink_;
  std::shared_ptr<OutputPump> pump_;  // the caller's thread
  // The event loop's thread.
  boost::asio::steady_timer timer_;
  absl::Time asked_at_;
  bool plain_ = false;

  absl::Mutex mu_;
  std::optional<absl::StatusOr<int>> exit_ ABSL_GUARDED_BY(mu_);
  bool output_ended_ ABSL_GUARDED_BY(mu_) = false;
  bool left_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

absl::StatusOr<ExecResult> RunExecSync(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                       const ExecSyncOptions& options) {
  const std::string what = absl::StrCat("exec in container ", options.container_id, " of sandbox ", options.sandbox_id);
  absl::Time deadline = options.deadline;
  if (options.timeout > absl::ZeroDuration()) deadline = std::min(deadline, absl::Now() + options.timeout);
  const auto timed_out = [&what, &options] {
    return absl::DeadlineExceededError(
        options.timeout > absl::ZeroDuration()
            ? absl::StrCat(what, ": not ended after ", absl::FormatDuration(options.timeout), ", killed")
            : absl::StrCat(what, ": not ended by the caller's deadline, killed"));
  };

  grpc::ExecProcessRequest request;
  request.set_container_id(options.container_id);
  request.set_exec_id(options.exec_id);
  *request.mutable_process() = options.process;
  auto exec = std::make_shared<Exec>(loop, client, options);
  agent::v1::Empty empty;
  if (absl::Status status = client->Call(kAgentService, "ExecProcess", request, &empty, deadline); !status.ok()) {
    // Where the answer is missing, the process may run.
    if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) exec->Leave();
    return absl::IsDeadlineExceeded(status) ? timed_out() : Prefix(std::move(status), what);
  }

  exec->Follow();
  const std::optional<absl::StatusOr<int>> exit = exec->WaitExit(deadline);
  if (exit.has_value() && exit->ok()) exec->WaitOutput(std::min(deadline, absl::Now() + options.drain));
  exec->Leave();
  if (!exit.has_value()) return timed_out();
  RETURN_IF_ERROR(exit->status(), what);
  std::array<std::string, 2> output = exec->TakeOutput();
  return ExecResult{.out = std::move(output[0]), .err = std::move(output[1]), .exit_code = **exit};
}

}  // namespace podvisor
