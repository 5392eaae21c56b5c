// What podmanager refuses before it touches anything.
#ifndef PODVISOR_PODMANAGER_VALIDATE_H_
#define PODVISOR_PODMANAGER_VALIDATE_H_

#include "absl/status/status.h"
#include "podmanager/config.pb.h"

namespace podvisor {

// kInvalidArgument names the field; kUnimplemented for what a VM can't be given (yet): the node's network, user
// namespaces. Sysctls, users and capabilities are checked where they are used: spec/.
absl::Status ValidateSandboxConfig(const SandboxConfig& config);
absl::Status ValidateContainerConfig(const ContainerConfig& config);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_VALIDATE_H_
