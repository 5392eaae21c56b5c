#ifndef PODVISOR_AGENT_GUEST_ENTROPY_H_
#define PODVISOR_AGENT_GUEST_ENTROPY_H_

#include <string>

#include "absl/status/status.h"

namespace podvisor::guest {

// Feeds the host's random bytes (1 to 4096) to the kernel with full credit, and makes it use them at once: clones of
// one template would return the same "random" numbers otherwise.
absl::Status AddEntropy(const std::string& bytes);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_ENTROPY_H_
