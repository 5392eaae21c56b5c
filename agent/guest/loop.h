// The agent's one thread: descriptors, timers, deferred work.
#ifndef PODVISOR_AGENT_GUEST_LOOP_H_
#define PODVISOR_AGENT_GUEST_LOOP_H_

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// Milliseconds of CLOCK_MONOTONIC.
int64_t NowMs();
// Unix time in nanoseconds.
int64_t UnixNowNs();

// An epoll loop. All of it, callbacks included, belongs to one thread. A callback may watch and unwatch anything,
// itself included.
class Loop {
 public:
  using FdHandler = std::function<void(uint32_t events)>;
  using TimerId = uint64_t;

  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // `events` are epoll's (EPOLLIN, EPOLLET, ...). The descriptor stays the caller's, who unwatches it before it closes
  // it.
  absl::Status Watch(int fd, uint32_t events, FdHandler handler);
  void Modify(int fd, uint32_t events);
  // Success if it is not watched. The handler is not called any more, not even for an event that is already there.
  void Unwatch(int fd);

  // Calls `function` once, after `delay_ms`.
  TimerId After(int64_t delay_ms, std::function<void()> function);
  void Cancel(TimerId timer);

  // Calls `function` once the running callback has returned.
  void Post(std::function<void()> function);

  void Run();
  void Stop() { running_ = false; }

 private:
  struct Watched {
    uint32_t generation;
    std::shared_ptr<FdHandler> handler;
  };

  void RunDue();
  int TimeoutMs() const;

  UniqueFd epoll_;
  bool running_ = false;
  uint32_t generation_ = 0;
  uint64_t last_timer_ = 0;
  std::unordered_map<int, Watched> watched_;
  std::map<std::pair<int64_t, TimerId>, std::function<void()>> timers_;  // by due time
  std::unordered_map<TimerId, int64_t> due_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LOOP_H_
