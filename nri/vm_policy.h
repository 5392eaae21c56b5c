// What plugins may change of a container that runs in a VM.
#ifndef PODVISOR_NRI_VM_POLICY_H_
#define PODVISOR_NRI_VM_POLICY_H_

#include "absl/status/status.h"
#include "nri/api.h"

namespace podvisor {

// kUnimplemented: "FIELD: why": what has no meaning in a VM of one's own (OCI hooks and devices are the host's), or
// what the guest can't be told of. An adjustment that was dropped silently would be worse.
absl::Status CheckAdjustment(const nri_api::ContainerAdjustment& adjustment);
absl::Status CheckResources(const nri_api::LinuxResources& resources);

}  // namespace podvisor

#endif  // PODVISOR_NRI_VM_POLICY_H_
