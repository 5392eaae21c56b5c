// Pods and containers in NRI's terms, and what plugins want in podmanager's.
#ifndef PODVISOR_DAEMON_NRI_MESSAGES_H_
#define PODVISOR_DAEMON_NRI_MESSAGES_H_

#include "absl/status/status.h"
#include "nri/api.h"
#include "podmanager/hooks.h"

namespace podvisor {

nri_api::PodSandbox ToNri(const HookPod& pod);
nri_api::Container ToNri(const HookContainer& container);
nri_api::LinuxResources ToNri(const Resources& resources);

// What is set in `from` is set in `to`; pids and reservation become the unified keys pids.max and memory.low, which is
// what the guest has for them.
void Apply(const nri_api::LinuxResources& from, Resources* to);
// kInvalidArgument for a mount that is no bind mount of an absolute host path, naming it.
absl::Status Apply(const nri_api::ContainerAdjustment& from, ContainerConfig* to);

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_NRI_MESSAGES_H_
