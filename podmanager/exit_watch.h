// Learns that a container's process has ended, and holds the news back until its log is complete.
#ifndef PODVISOR_PODMANAGER_EXIT_WATCH_H_
#define PODVISOR_PODMANAGER_EXIT_WATCH_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "podmanager/records.pb.h"

namespace podvisor {

struct ProcessExit {
  int exit_code = 0;  // 128 + signal if it was killed; 255 if the guest does not know it any more
  bool oom_killed = false;
  bool known = true;       // false: the guest has forgotten the container, so how it ended is lost
  absl::Time finished_at;  // by the guest's clock; InfinitePast() if it does not say
};

struct ContainerExitWatchOptions {
  std::string sandbox_id;  // for log lines
  std::string container_id;
  AgentFlavor agent = AGENT_PODVISOR;
  absl::Duration guest_wait = absl::Seconds(60);        // how long one call waits in the guest
  absl::Duration log_drain = absl::Seconds(5);          // how long after the exit the log may take to end: a child that
                                                        // was left behind in a shared process namespace holds it open
  absl::Duration first_pause = absl::Milliseconds(20);  // after a failed call, doubled up to max_pause
  absl::Duration max_pause = absl::Seconds(2);
};

// One call to the agent is always under way: Extension.WaitExit, which may be asked again after a broken connection or
// a restart; WaitProcess with a stock Kata agent, which answers once. Thread-safe; runs on the event loop.
//
// The guest is not trusted: it is asked again after growing pauses when it answers at once without an exit.
class ContainerExitWatch {
 public:
  // `on_exit` is called at most once, from the event loop; never after Stop() has returned.
  static std::shared_ptr<ContainerExitWatch> Create(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                                    ContainerExitWatchOptions options,
                                                    std::function<void(ProcessExit)> on_exit);
  virtual ~ContainerExitWatch() = default;

  // Begins to ask: once the container has been started.
  virtual void Arm() = 0;
  // The log has everything, or will never have. Before or after the exit.
  virtual void LogEnded() = 0;
  // Blocks until no callback is under way; never from the event loop's thread. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_EXIT_WATCH_H_
