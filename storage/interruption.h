// When a pull has to give up: its deadline, its client's cancellation, or the failure of a sibling.
#ifndef PODVISOR_STORAGE_INTERRUPTION_H_
#define PODVISOR_STORAGE_INTERRUPTION_H_

#include <atomic>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace podvisor {

// How long anything in storage/ waits before it looks at its Interruption again: flags have no wake-up.
inline constexpr absl::Duration kInterruptionGranularity = absl::Milliseconds(20);

// Copyable value that borrows the flags it looks at. Thread-safe as they are.
struct Interruption {
  absl::Time deadline = absl::InfiniteFuture();
  const std::atomic<bool>* cancelled = nullptr;       // by the client; may be null
  const std::atomic<bool>* sibling_failed = nullptr;  // a parallel part has failed; may be null

  // kDeadlineExceeded or kCancelled once it is time to give up.
  absl::Status Check() const {
    if (cancelled != nullptr && cancelled->load()) return absl::CancelledError("cancelled by the client");
    if (sibling_failed != nullptr && sibling_failed->load())
      return absl::CancelledError("given up because another part failed");
    if (absl::Now() >= deadline) return absl::DeadlineExceededError("the deadline of the request has passed");
    return absl::OkStatus();
  }

  // Waits for `duration` (between retries), or returns early with what Check() says.
  absl::Status Pause(absl::Duration duration) const {
    const absl::Time end = absl::Now() + duration;
    for (;;) {
      if (absl::Status status = Check(); !status.ok()) return status;
      const absl::Duration left = end - absl::Now();
      if (left <= absl::ZeroDuration()) return absl::OkStatus();
      absl::SleepFor(left < kInterruptionGranularity ? left : kInterruptionGranularity);
    }
  }
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_INTERRUPTION_H_
