// Devices that may not be there yet.
#ifndef PODVISOR_AGENT_GUEST_UEVENTS_H_
#define PODVISOR_AGENT_GUEST_UEVENTS_H_

#include <functional>
#include <list>
#include <string>

#include "absl/status/statusor.h"
#include "agent/guest/loop.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// Listens to the kernel's own uevents (group 1): devtmpfs has the node before they are sent.
class Uevents {
 public:
  // Looks for a device: its path, or kNotFound while it is not there; other errors end the wait.
  using Find = std::function<absl::StatusOr<std::string>()>;
  using Found = std::function<void(absl::StatusOr<std::string>)>;

  explicit Uevents(Loop& loop);
  Uevents(const Uevents&) = delete;
  Uevents& operator=(const Uevents&) = delete;
  ~Uevents();

  // Calls `found` once: at once if it is there, else after the uevent that brings it, or after `wait_ms` (< 0: for
  // ever) with what `find` said last.
  void WaitFor(Find find, int64_t wait_ms, Found found);

 private:
  struct Waiter {
    Find find;
    Found found;
    Loop::TimerId timer = 0;
  };

  void Read();
  void Retry();

  Loop& loop_;
  UniqueFd fd_;
  std::list<Waiter> waiters_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_UEVENTS_H_
