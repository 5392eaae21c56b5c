// What processes hold: their number, descriptors and limits. See agent/protocol/extension.proto, ContainerUsage.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_USAGE_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_USAGE_H_

#include <sys/types.h>

#include <vector>

#include "agent/protocol/extension.pb.h"

namespace podvisor::guest {

// Counts, and descriptors if they are no more than can be counted while the agent does nothing else. Processes that end
// meanwhile are counted without theirs.
void ReadProcessUsage(const std::vector<pid_t>& pids, podvisor::agent::v1::ContainerUsage* usage);

// Soft limits of `pid`; none if it is gone.
void ReadSoftLimits(pid_t pid, podvisor::agent::v1::ContainerUsage* usage);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_USAGE_H_
