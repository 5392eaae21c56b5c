#include "podmanager/io/exec_session.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "podmanager/io/exec_end.h"
#include "podmanager/io/output_pump.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kAnswerGrace = absl::Seconds(30);
constexpr absl::Duration kWaitInGuest = absl::Seconds(30);

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
        end_(ExecEnd::Create(loop, client_, {sandbox_id_, container_id_, exec_id_})) {}

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
    end_->Ask([self = shared_from_this()](absl::StatusOr<int> exit) { self->SetExit(std::move(exit)); });
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
    end_->StopAsking();
    bool exited;
    {
      absl::MutexLock lock(&mu_);
      exited = exit_.has_value() && exit_->ok();
    }
    if (exited) return end_->Release();
    end_->KillAndRelease();
  }

 private:
  bool HasExited() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return exit_.has_value(); }

  void SetExit(absl::StatusOr<int> exit) {
    absl::MutexLock lock(&mu_);
    exit_ = std::move(exit);
  }

  EventLoop& loop_;
  const std::shared_ptr<AgentClient> client_;
  const std::string sandbox_id_, container_id_, exec_id_;
  const std::shared_ptr<CollectingSink> sink_;
  std::shared_ptr<OutputPump> pump_;  // the caller's thread
  const std::shared_ptr<ExecEnd> end_;

  absl::Mutex mu_;
  std::optional<absl::StatusOr<int>> exit_ ABSL_GUARDED_BY(mu_);
  bool output_ended_ ABSL_GUARDED_BY(mu_) = false;
};

ExecResult ResultOf(agent::v1::RunExecResponse ran, size_t output_limit) {
  ExecResult result{
      .out = std::move(*ran.mutable_stdout()), .err = std::move(*ran.mutable_stderr()), .exit_code = ran.exit_code()};
  result.out.resize(std::min(result.out.size(), output_limit));
  result.err.resize(std::min(result.err.size(), output_limit));
  return result;
}

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
  // In one call where the guest can: a round trip costs more there than most programs that are run this way.
  agent::v1::RunExecRequest run;
  *run.mutable_exec() = request;
  run.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWaitInGuest)));
  agent::v1::RunExecResponse ran;
  absl::Status status = client->Call(kExtensionService, "RunExec", run, &ran, deadline);
  if (status.ok() && ran.done()) return ResultOf(std::move(ran), options.output_limit);
  agent::v1::Empty empty;
  if (absl::IsUnimplemented(status)) status = client->Call(kAgentService, "ExecProcess", request, &empty, deadline);
  if (!status.ok()) {
    // Where the answer is missing, the process may run.
    if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) exec->Leave();
    return absl::IsDeadlineExceeded(status) ? timed_out() : Prefix(status, what);
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
