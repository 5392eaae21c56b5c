// Work that goes on when the caller who asked for it has given up.
#ifndef PODVISOR_PODMANAGER_TASK_GROUP_H_
#define PODVISOR_PODMANAGER_TASK_GROUP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

// The result of a piece of work, waited for by any number of callers. Thread-safe.
class Outcome {
 public:
  // Once.
  void Set(absl::Status status);
  // kDeadlineExceeded ("WHAT: still under way") if it is not there by then: the work goes on.
  absl::Status Await(absl::Time deadline, const std::string& what);
  // The result, if there is one.
  std::optional<absl::Status> Peek();

 private:
  bool IsSet() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return status_.has_value(); }

  absl::Mutex mu_;
  std::optional<absl::Status> status_ ABSL_GUARDED_BY(mu_);
};

// Runs tasks, each in a thread of its own: they block on guests, plugins and disks, and there are as many as there are
// operations under way, not as there are pods. Thread-safe. The destructor waits for all of them.
class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { Wait(absl::InfiniteFuture()); }

  void Run(std::function<void()> task);

  // Runs `work` as a task and waits for its status until `deadline`; see Outcome::Await(). An error that nobody waits
  // for any more is logged as "WHAT: error".
  absl::Status Perform(absl::Time deadline, const std::string& what, std::function<absl::Status()> work);

  // Runs all at once, the last in the caller's thread, and waits for all. The result is the first error in order.
  absl::Status All(std::vector<std::function<absl::Status()>> works);

  // Whether no task is left by `deadline`.
  bool Wait(absl::Time deadline);

 private:
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return running_ == 0; }

  absl::Mutex mu_;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TASK_GROUP_H_
