#include "agent/guest/runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "agent/guest/launch/terminal.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::ProcessState;

constexpr size_t kMaxWaiters = 64;

absl::Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return ErrnoStatus(errno, "fcntl");
  return absl::OkStatus();
}

}  // namespace

Process::Process(Loop& loop, std::string container_id, std::string exec_id)
    : loop_(loop),
      container_id_(std::move(container_id)),
      exec_id_(std::move(exec_id)),
      stdout_(std::make_shared<Output>(loop, nullptr)),
      stderr_(std::make_shared<Output>(loop, nullptr)),
      input_(std::make_shared<Input>(loop, UniqueFd(), Input::Kind::kPipe)) {}

Process::~Process() {
  EndControl();
  for (const Waiter& waiter : waiters_) loop_.Cancel(waiter.timer);
}

absl::Status Process::Adopt(Launched launched, Done on_ready) {
  launched_ = std::move(launched);
  on_ready_ = std::move(on_ready);
  if (launched_.stdout_fd.ok()) {
    stdout_ = std::make_shared<Output>(loop_, std::make_shared<UniqueFd>(std::move(launched_.stdout_fd)));
    stderr_ = std::make_shared<Output>(loop_, std::make_shared<UniqueFd>(std::move(launched_.stderr_fd)));
    input_ = std::make_shared<Input>(loop_, std::move(launched_.stdin_fd), Input::Kind::kPipe);
    stdout_->Start();
    stderr_->Start();
  }
  return loop_.Watch(launched_.control.get(), EPOLLIN, [this](uint32_t) {
    const auto self = shared_from_this();
    OnControl();
  });
}

void Process::Start(Done on_started) {
  on_started_ = std::move(on_started);
  start_sent_ = true;
  if (!exec_id_.empty()) return;
  // If that fails, the child is gone, which the control socket's end is about to tell.
  SendStart(launched_.control.get());
}

void Process::OnControl() {
  while (launched_.control.ok()) {
    ControlMessage message = ReceiveControl(launched_.control.get());
    if (message.kind == ControlMessage::Kind::kNothing) return;
    Handle(std::move(message));
  }
}

void Process::Handle(ControlMessage message) {
  switch (message.kind) {
    case ControlMessage::Kind::kNothing:
      return;
    case ControlMessage::Kind::kReady:
      if (message.terminal.ok()) UseTerminal(std::move(message.terminal));
      state_ = State::kReady;
      if (const Done done = std::exchange(on_ready_, nullptr)) done(absl::OkStatus());
      return;
    case ControlMessage::Kind::kFailed:
      EndControl();
      return Conclude(message.error);
    case ControlMessage::Kind::kExecuted:
      EndControl();
      if ((state_ != State::kReady && exec_id_.empty()) || !start_sent_) {
        return Conclude(absl::AbortedError("the process was killed before its program started"));
      }
      state_ = State::kRunning;
      executed_ = true;
      started_at_ns_ = UnixNowNs();
      return Conclude(absl::OkStatus());
  }
}

void Process::EndControl() {
  if (!launched_.control.ok()) return;
  loop_.Unwatch(launched_.control.get());
  launched_.control.reset();
}

void Process::Conclude(const absl::Status& status) {
  if (const Done done = std::exchange(on_ready_, nullptr)) done(status);
  if (const Done done = std::exchange(on_started_, nullptr)) done(status);
}

void Process::UseTerminal(UniqueFd master) {
  UniqueFd for_input(::fcntl(master.get(), F_DUPFD_CLOEXEC, 3));
  if (!SetNonBlocking(master.get()).ok()) return;
  terminal_ = std::make_shared<UniqueFd>(std::move(master));
  stdout_ = std::make_shared<Output>(loop_, terminal_);
  input_ = std::make_shared<Input>(loop_, std::move(for_input), Input::Kind::kTerminal);
  stdout_->Start();
}

void Process::OnExit(int wait_status, bool oom_killed) {
  const auto self = shared_from_this();
  // Its last words may still lie in the socket.
  OnControl();
  EndControl();
  Conclude(absl::AbortedError("the process was killed before its program started"));
  state_ = State::kExited;
  exit_code_ = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  oom_killed_ = oom_killed;
  finished_at_ns_ = UnixNowNs();
  input_->Abandon();
  AnswerWaiters();
  if (const auto told = std::exchange(on_exited_, nullptr)) told();
}

ProcessState Process::Describe() const {
  ProcessState state;
  state.set_container_id(container_id_);
  state.set_exec_id(exec_id_);
  state.set_started(executed_);
  state.set_exited(state_ == State::kExited);
  state.set_exit_code(exit_code_);
  state.set_oom_killed(oom_killed_);
  state.set_started_at_ns(started_at_ns_);
  state.set_finished_at_ns(finished_at_ns_);
  state.set_pid(static_cast<uint32_t>(launched_.pid));
  return state;
}

absl::Status Process::Signal(int signal) {
  if (state_ == State::kExited) return absl::OkStatus();
  if (::syscall(SYS_pidfd_send_signal, launched_.pidfd.get(), signal, nullptr, 0) == 0) return absl::OkStatus();
  if (errno == ESRCH) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("signal ", signal, " to process ", launched_.pid));
}

absl::Status Process::Resize(uint32_t rows, uint32_t columns) {
  if (terminal_ == nullptr) return absl::FailedPreconditionError("the process has no terminal");
  if (!terminal_->ok() || state_ == State::kExited) return absl::FailedPreconditionError("the process has exited");
  return ResizeTerminal(terminal_->get(), rows, columns);
}

Output& Process::output(podvisor::agent::v1::Stream stream) {
  return stream == podvisor::agent::v1::STDERR ? *stderr_ : *stdout_;
}

void Process::EndOutputs() {
  stdout_->End();
  stderr_->End();
}

void Process::WhenExited(std::function<void()> told) {
  if (state_ == State::kExited) return told();
  on_exited_ = std::move(told);
}

void Process::WaitExit(uint32_t wait_ms, CallPtr call) {
  if (state_ == State::kExited || wait_ms == 0 || waiters_.size() >= kMaxWaiters) return call->Reply(Describe());
  waiters_.push_back({.call = std::move(call), .extended = true, .on_answered = nullptr});
  const auto position = std::prev(waiters_.end());
  position->timer = loop_.After(wait_ms, [this, position] {
    position->call->Reply(Describe());
    waiters_.erase(position);
  });
}

void Process::WaitProcess(CallPtr call, std::function<void()> on_answered) {
  std::erase_if(waiters_, [](const Waiter& waiter) { return !waiter.extended && !waiter.call->IsAlive(); });
  if (waiters_.size() >= kMaxWaiters) {
    return call->Fail(absl::ResourceExhaustedError("too many calls wait for this process"));
  }
  waiters_.push_back({.call = std::move(call), .extended = false, .on_answered = std::move(on_answered)});
  if (state_ == State::kExited) AnswerWaiters();
}

void Process::AnswerWaiters() {
  std::list<Waiter> waiters;
  waiters.swap(waiters_);
  for (const Waiter& waiter : waiters) {
    loop_.Cancel(waiter.timer);
    if (waiter.call->IsAlive()) Answer(waiter);
  }
}

void Process::Answer(const Waiter& waiter) {
  if (waiter.extended) return waiter.call->Reply(Describe());
  grpc::WaitProcessResponse response;
  response.set_status(exit_code_);
  waiter.call->Reply(response);
  if (waiter.on_answered) waiter.on_answered();
}

}  // namespace podvisor::guest
