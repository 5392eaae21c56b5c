#include "agent/guest/runtime/exec_run.h"

#include <optional>
#include <string>
#include <utility>

#include "agent/protocol/extension.pb.h"

namespace podvisor::guest {

using podvisor::agent::v1::RunExecResponse;

void ExecRun::Follow(Loop& loop, std::shared_ptr<Process> process, uint32_t wait_ms, CallPtr call,
                     std::function<void()> forget) {
  const std::shared_ptr<ExecRun> run(new ExecRun(loop, std::move(process), std::move(call), std::move(forget)));
  run->Begin(wait_ms);
}

// What waits holds the run, and the run holds the process: Finish() lets go of all.
void ExecRun::Begin(uint32_t wait_ms) {
  const auto self = shared_from_this();
  const auto give_up = [self] { self->Finish(RunExecResponse()); };
  const std::shared_ptr<Process> process = process_;
  process->input().Close();
  timer_ = loop_.After(wait_ms, give_up);
  for (const auto stream : {podvisor::agent::v1::STDOUT, podvisor::agent::v1::STDERR}) {
    process->output(stream).WhenFull(give_up);
  }
  process->WhenExited([self] { self->OnExit(); });
}

// The kernel closes a process's files before it tells of its end: output that is still open now is open in a child.
void ExecRun::OnExit() {
  if (process_ == nullptr) return;
  RunExecResponse response;
  std::optional<std::string> out = process_->output(podvisor::agent::v1::STDOUT).Whole();
  std::optional<std::string> err = process_->output(podvisor::agent::v1::STDERR).Whole();
  if (process_ == nullptr) return;  // the last of it has filled a buffer
  if (out.has_value() && err.has_value()) {
    response.set_done(true);
    response.set_exit_code(process_->Describe().exit_code());
    response.set_stdout(*std::move(out));
    response.set_stderr(*std::move(err));
  }
  Finish(response);
}

void ExecRun::Finish(const RunExecResponse& response) {
  const auto self = shared_from_this();
  const std::shared_ptr<Process> process = std::exchange(process_, nullptr);
  if (process == nullptr) return;
  loop_.Cancel(timer_);
  for (const auto stream : {podvisor::agent::v1::STDOUT, podvisor::agent::v1::STDERR}) {
    process->output(stream).WhenFull(nullptr);
  }
  const bool heard = call_->IsAlive();
  call_->Reply(response);
  if (response.done() && heard) forget_();
}

}  // namespace podvisor::guest
