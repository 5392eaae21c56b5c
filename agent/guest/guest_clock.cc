#include "agent/guest/guest_clock.h"

#include <errno.h>
#include <time.h>

#include "base/status_macros.h"

namespace podvisor::guest {

absl::Status SetClock(int64_t seconds, int64_t nanoseconds) {
  const timespec time{.tv_sec = seconds, .tv_nsec = nanoseconds};
  if (seconds <= 0 || nanoseconds < 0 || nanoseconds >= 1'000'000'000) {
    return absl::InvalidArgumentError(absl::StrCat("time ", seconds, " s + ", nanoseconds, " ns"));
  }
  if (::clock_settime(CLOCK_REALTIME, &time) != 0) return ErrnoStatus(errno, "clock_settime");
  return absl::OkStatus();
}

}  // namespace podvisor::guest
