// How large a pod's VM is: as its containers and the pod's own limits ask, within what the runtime handler allows.
#ifndef PODVISOR_PODMANAGER_VM_SIZE_H_
#define PODVISOR_PODMANAGER_VM_SIZE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "podmanager/pod_context.h"
#include "podmanager/runtime_handler.h"

namespace podvisor {

struct VmSize {
  int vcpus = 1;
  uint64_t memory_bytes = 0;
  bool operator==(const VmSize&) const = default;
};

// The sum of the containers' limits or the pod's own, if that is more; memory with the guest's overhead, in whole MiB.
// Never less than the handler gives every VM. Not bounded by its maximum.
VmSize WantedSize(const RuntimeHandler& handler, const Resources& pod, const std::vector<Resources>& containers);

// Of a VM that boots: what the pod asks for, within the handler's and the driver's bounds.
VmSize BootSize(const RuntimeHandler& handler, const Resources& pod);

VmSize SizeNow(const SandboxRecord& record);

// What FitVm() may do. kGrow: before a cgroup gets more. kExactly: after one got less.
enum class Fit { kGrow, kExactly };

// Makes the VM as large as the limits of the sandbox and of its containers, those of `container_id` taken to be
// `resources`, those of others from their records. What is new is in the guest when its drivers have taken it, which
// this does not wait for. vCPUs never become fewer: a guest would have to agree, and their use is bounded by the
// containers' cgroups anyway.
//
// Waits for other calls on the same sandbox, and for the VMM. kOutOfRange for more than the VM was made for, and
// kFailedPrecondition where the driver can't resize; both say what to configure.
absl::Status FitVm(PodContext& context, Sandbox& sandbox, Fit fit, const std::string& container_id = "",
                   const Resources& resources = {});

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_VM_SIZE_H_
