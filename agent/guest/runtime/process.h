// One program in a container: the container's own, or an exec.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_H_

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "agent/guest/call.h"
#include "agent/guest/launch/control.h"
#include "agent/guest/launch/launch.h"
#include "agent/guest/loop.h"
#include "agent/guest/runtime/input.h"
#include "agent/guest/runtime/output.h"
#include "agent/protocol/extension.pb.h"

namespace podvisor::guest {

//   kSettingUp --ready--> kReady --exec--> kRunning --exit--> kExited
//        \_______________________ failed or killed ____________/
// A container's process stays in kReady until Start(); an exec goes through it by itself, or leaves it out.
class Process : public std::enable_shared_from_this<Process> {
 public:
  enum class State { kSettingUp, kReady, kRunning, kExited };
  using Done = std::function<void(const absl::Status&)>;

  Process(Loop& loop, std::string container_id, std::string exec_id);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  // Takes over what Launch() made. `on_ready` is called once: the set-up's outcome.
  absl::Status Adopt(Launched launched, Done on_ready);
  // `on_started` is called once exec has worked, or with why it has not. For an exec, right after Adopt.
  void Start(Done on_started);
  // The kernel has reaped it.
  void OnExit(int wait_status, bool oom_killed);

  State state() const { return state_; }
  const std::string& container_id() const { return container_id_; }
  const std::string& exec_id() const { return exec_id_; }
  pid_t pid() const { return launched_.pid; }
  int pidfd() const { return launched_.pidfd.get(); }
  podvisor::agent::v1::ProcessState Describe() const;

  // Success if it has exited already.
  absl::Status Signal(int signal);
  absl::Status Resize(uint32_t rows, uint32_t columns);
  Output& output(podvisor::agent::v1::Stream stream);
  Input& input() { return *input_; }
  // Nobody is left to write to its outputs: ends them.
  void EndOutputs();

  // `told` is called once, after those who wait by call; at once if it has exited.
  void WhenExited(std::function<void()> told);
  // Extension.WaitExit.
  void WaitExit(uint32_t wait_ms, CallPtr call);
  // Kata's WaitProcess; `on_answered` is called when somebody has been told.
  void WaitProcess(CallPtr call, std::function<void()> on_answered);

 private:
  struct Waiter {
    CallPtr call;
    bool extended;
    std::function<void()> on_answered;
    Loop::TimerId timer = 0;
  };

  void OnControl();
  void Handle(ControlMessage message);
  void EndControl();
  void Conclude(const absl::Status& status);
  void UseTerminal(UniqueFd master);
  void AnswerWaiters();
  void Answer(const Waiter& waiter);

  Loop& loop_;
  const std::string container_id_;
  const std::string exec_id_;
  State state_ = State::kSettingUp;
  Launched launched_;
  Done on_ready_;
  Done on_started_;
  bool start_sent_ = false;
  bool executed_ = false;
  int exit_code_ = 0;
  bool oom_killed_ = false;
  int64_t started_at_ns_ = 0;
  int64_t finished_at_ns_ = 0;
  std::shared_ptr<UniqueFd> terminal_;
  std::shared_ptr<Output> stdout_;
  std::shared_ptr<Output> stderr_;
  std::shared_ptr<Input> input_;
  std::list<Waiter> waiters_;
  std::function<void()> on_exited_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_H_
