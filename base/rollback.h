// Undoing a half-done operation.
#ifndef PODVISOR_BASE_ROLLBACK_H_
#define PODVISOR_BASE_ROLLBACK_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace podvisor {

// Holds the undo steps of an operation and runs them in reverse unless Commit() was called. Not thread-safe.
//
// Each step gets the deadline by which all of the roll-back has to end: its own, since that of the RPC may be spent.
// A step that fails does not keep earlier steps from running, unless they were added as something it depends on: see
// Barrier(). Capture by value: what a lambda refers to may be gone when the roll-back runs.
class Rollback {
 public:
  using Step = std::function<absl::Status(absl::Time deadline)>;

  explicit Rollback(absl::Duration budget) : budget_(budget) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  // Runs what is left and drops its status: call Run() where the outcome matters.
  ~Rollback();

  // `name` says what is undone, for errors: "delete netns".
  void Add(std::string name, Step step);

  // If a step added after the barrier fails, the steps before it do not run: what they would remove is still needed.
  void Barrier();

  // The operation succeeded: nothing will be undone.
  void Commit();

  // Undoes now. The status names every step that failed and every step that was therefore left. Runs once.
  absl::Status Run();

 private:
  struct Entry {
    std::string name;
    Step step;  // empty: a barrier
  };

  absl::Duration budget_;
  std::vector<Entry> entries_;
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_ROLLBACK_H_
