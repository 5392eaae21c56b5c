#ifndef PODVISOR_AGENT_GUEST_GUEST_CLOCK_H_
#define PODVISOR_AGENT_GUEST_GUEST_CLOCK_H_

#include <cstdint>

#include "absl/status/status.h"

namespace podvisor::guest {

// Sets the wall clock to Unix time.
absl::Status SetClock(int64_t seconds, int64_t nanoseconds);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_GUEST_CLOCK_H_
