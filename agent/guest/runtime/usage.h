// What a cgroup, the guest and its interfaces have used: agent/protocol/extension.proto, GetStats.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_USAGE_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_USAGE_H_

#include <string>

#include "agent/protocol/extension.pb.h"

namespace podvisor::guest {

// Of the cgroup (v2) at `path`; what the kernel does not keep stays zero or absent.
void ReadCgroupUsage(const std::string& path, podvisor::agent::v1::CgroupUsage* usage);
void ReadGuestUsage(podvisor::agent::v1::GuestUsage* usage);
// All interfaces of the agent's network namespace.
void ReadInterfaceUsage(google::protobuf::RepeatedPtrField<podvisor::agent::v1::InterfaceUsage>* interfaces);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_USAGE_H_
