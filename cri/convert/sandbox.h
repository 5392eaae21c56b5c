// Sandboxes between CRI's messages and podmanager's.
#ifndef PODVISOR_CRI_CONVERT_SANDBOX_H_
#define PODVISOR_CRI_CONVERT_SANDBOX_H_

#include "podmanager/config.pb.h"
#include "podmanager/pod_manager.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

// Of a validated configuration.
SandboxConfig SandboxFromCri(const ::runtime::v1::PodSandboxConfig& config);
SandboxFilter SandboxFilterFromCri(const ::runtime::v1::PodSandboxFilter& filter);

void SandboxToCri(const SandboxStatus& status, ::runtime::v1::PodSandboxStatus* out);
// What ListPodSandbox shows. Takes strings out of `status`.
void SandboxToCri(SandboxStatus&& status, ::runtime::v1::PodSandbox* out);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CONVERT_SANDBOX_H_
