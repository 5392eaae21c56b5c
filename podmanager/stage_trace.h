// Where the time of a sandbox's start went.
#ifndef PODVISOR_PODMANAGER_STAGE_TRACE_H_
#define PODVISOR_PODMANAGER_STAGE_TRACE_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace podvisor {

// Stages in the order in which they ended; they may overlap. Thread-safe. In memory only, bounded.
class StageTrace {
 public:
  struct Stage {
    std::string name;
    absl::Duration offset;  // from the trace's start
    absl::Duration took;
  };

  // The request came now.
  void Begin() {
    absl::MutexLock lock(&mu_);
    begun_ = absl::Now();
  }
  void Add(absl::string_view name, absl::Time start, absl::Time end) {
    constexpr size_t kMost = 64;  // tries after failures add up
    absl::MutexLock lock(&mu_);
    if (stages_.size() < kMost) stages_.push_back({std::string(name), start - begun_, end - start});
  }
  std::vector<Stage> stages() const {
    absl::MutexLock lock(&mu_);
    return stages_;
  }

 private:
  mutable absl::Mutex mu_;
  absl::Time begun_ ABSL_GUARDED_BY(mu_);
  std::vector<Stage> stages_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_STAGE_TRACE_H_
