// Work that nobody waits for: what the kernel does slowly (taking links and namespaces away waits for RCU).
#ifndef PODVISOR_NETNS_BACKGROUND_H_
#define PODVISOR_NETNS_BACKGROUND_H_

#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

// One thread, one piece of work after the other. What is to be done has to be recorded elsewhere as well: a killed
// process takes the queue along. Thread-safe.
class Background {
 public:
  Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  // Does what is queued first.
  ~Background();

  void Run(std::function<void()> work);

  // Waits until all that was queued before has been done; false if it has not by then.
  bool AwaitIdle(absl::Time deadline);

 private:
  void Loop();
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return queue_.empty() && !busy_; }
  bool HasWorkOrStops() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !queue_.empty() || stopping_; }

  absl::Mutex mu_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BACKGROUND_H_
