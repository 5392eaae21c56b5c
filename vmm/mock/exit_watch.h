// Telling once that a VM has ended.
#ifndef PODVISOR_VMM_MOCK_EXIT_WATCH_H_
#define PODVISOR_VMM_MOCK_EXIT_WATCH_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/event_loop.h"

namespace podvisor {

// One watcher of one VM, as Vm::WatchExit() promises: called once from the event loop, and not after Remove() has
// returned. Thread-safe. Held by shared pointer: a call may be queued in the loop.
class ExitWatch : public std::enable_shared_from_this<ExitWatch> {
 public:
  ExitWatch(EventLoop& loop, std::function<void(std::string)> on_exit) : loop_(loop), on_exit_(std::move(on_exit)) {}

  // Queues the call. The first one counts.
  void Fire(const std::string& reason);
  // Waits for a call under way, but not when called from inside the call itself.
  void Remove() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run(const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);

  EventLoop& loop_;
  absl::Mutex mu_;
  std::function<void(std::string)> on_exit_ ABSL_GUARDED_BY(mu_);
  bool running_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_MOCK_EXIT_WATCH_H_
