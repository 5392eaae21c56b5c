// An exec that the guest follows to its end for the host.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_EXEC_RUN_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_EXEC_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "agent/guest/runtime/process.h"

namespace podvisor::guest {

// agent/protocol/extension.proto: RunExec, once the program has started. Answers when it has ended, with what it wrote;
// when it can't be told in one answer; or when `wait_ms` have passed. Lives as long as that takes.
class ExecRun : public std::enable_shared_from_this<ExecRun> {
 public:
  // `forget` is called with the program's end if the answer had it all and somebody waited for it.
  static void Follow(Loop& loop, std::shared_ptr<Process> process, uint32_t wait_ms, CallPtr call,
                     std::function<void()> forget);
  ExecRun(const ExecRun&) = delete;
  ExecRun& operator=(const ExecRun&) = delete;

 private:
  ExecRun(Loop& loop, std::shared_ptr<Process> process, CallPtr call, std::function<void()> forget)
      : loop_(loop), process_(std::move(process)), call_(std::move(call)), forget_(std::move(forget)) {}

  void Begin(uint32_t wait_ms);
  void OnExit();
  void Finish(const podvisor::agent::v1::RunExecResponse& response);

  Loop& loop_;
  std::shared_ptr<Process> process_;  // null: answered
  CallPtr call_;
  std::function<void()> forget_;
  Loop::TimerId timer_ = 0;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_EXEC_RUN_H_
