// What pods and containers use, as PodManager tells it.
#ifndef PODVISOR_PODMANAGER_STATS_USAGE_H_
#define PODVISOR_PODMANAGER_STATS_USAGE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "agent/protocol/extension.pb.h"
#include "podmanager/statuses.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Of one cgroup in the guest: its kernel's own figures, in its agent's words. They are for display; the host decides
// nothing by them.
struct Usage {
  absl::Time at = absl::InfinitePast();  // by the host's clock; InfinitePast(): the guest has not said yet
  agent::v1::CgroupUsage figures;
  // CPU over the time since the figures before, which is a second or more; with the first figures, since its start.
  uint64_t nano_cores = 0;
  // Memory that the guest as a whole could still give; absent where its agent does not say.
  std::optional<uint64_t> guest_available_bytes;
};

struct ContainerUsage {
  ContainerStatus status;
  Usage usage;
  // The layer and the counts of processes; `cgroup` of it is moved to `usage`.
  agent::v1::ContainerUsage rest;
};

struct PodUsage {
  SandboxStatus sandbox;
  Usage usage;                                        // of all containers together, without guest kernel, agent and VMM
  std::vector<ContainerUsage> containers;             // created or running; what has exited uses nothing
  std::vector<agent::v1::InterfaceUsage> interfaces;  // the guest's, lo left out; eth0 is the pod's
  std::optional<agent::v1::GuestUsage> guest;         // the guest as a whole, kernel and agent included
  std::optional<VmUsage> vmm;  // the VMM's processes on the host, the guest's memory included; kVerbose
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_STATS_USAGE_H_
