// What a container's processes hold open, and the file system that its layer is on: agent/protocol/extension.proto,
// ContainerUsage.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_USAGE_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_USAGE_H_

#include <string>

#include "agent/protocol/extension.pb.h"

namespace podvisor::guest {

// Of all processes in the cgroup (v2) at `cgroup_path` and the cgroups below it: their number, their open descriptors,
// and which of these are sockets. A process that ends meanwhile is left out. Looks at every descriptor, at most 65536
// in all: beyond, descriptors and sockets stay absent.
void CountProcesses(const std::string& cgroup_path, podvisor::agent::v1::ContainerUsage* usage);

// Size and inodes of the file system at `path`; absent where it has no bounds or is not there.
void ReadLayerLimits(const std::string& path, podvisor::agent::v1::ContainerUsage* usage);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_PROCESS_USAGE_H_
