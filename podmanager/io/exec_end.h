// The end of a program that ExecProcess has started: asked for, brought about, and forgotten by the guest.
#ifndef PODVISOR_PODMANAGER_IO_EXEC_END_H_
#define PODVISOR_PODMANAGER_IO_EXEC_END_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"

namespace podvisor {

struct ExecName {
  std::string sandbox_id, container_id, exec_id;
};

// Thread-safe; does not block. Kept alive by its calls under way. `loop` outlives it.
class ExecEnd {
 public:
  static std::shared_ptr<ExecEnd> Create(EventLoop& loop, std::shared_ptr<AgentClient> client, ExecName name);
  virtual ~ExecEnd() = default;

  // Calls `on_exit` once, in the event loop, with the exit code, or with an error if it can't be known. Asks a stock
  // agent, too, and again while a guest does not answer. Once.
  virtual void Ask(std::function<void(absl::StatusOr<int>)> on_exit) = 0;
  // Asks no more. Without effect once the exit is known; called in the event loop, `on_exit` is not called after it.
  virtual void StopAsking() = 0;

  // Whatever becomes of it.
  virtual void Signal(int signal) = 0;

  // The guest forgets the program, which has exited.
  virtual void Release() = 0;
  // The same for one that may run or not: killed first.
  virtual void KillAndRelease() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_EXEC_END_H_
