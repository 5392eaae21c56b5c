// Times that order what happened.
#ifndef PODVISOR_PODMANAGER_TIMESTAMPS_H_
#define PODVISOR_PODMANAGER_TIMESTAMPS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace podvisor {

// The wall clock, made strictly increasing by nanoseconds: the kubelet sorts sandboxes and containers by created_at and
// takes the newest. Thread-safe.
class Timestamps {
 public:
  absl::Time Next() {
    absl::MutexLock lock(&mu_);
    const int64_t now = absl::ToUnixNanos(absl::Now());
    last_ = now > last_ ? now : last_ + 1;
    return absl::FromUnixNanos(last_);
  }

  // Later times are after `time`: a record of an earlier daemon, should the clock have been set back since.
  void NotBefore(absl::Time time) {
    absl::MutexLock lock(&mu_);
    if (const int64_t nanos = absl::ToUnixNanos(time); nanos > last_) last_ = nanos;
  }

 private:
  absl::Mutex mu_;
  int64_t last_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TIMESTAMPS_H_
