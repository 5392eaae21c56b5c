// Kernel settings of a pod.
#ifndef PODVISOR_PODMANAGER_SPEC_SYSCTLS_H_
#define PODVISOR_PODMANAGER_SPEC_SYSCTLS_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/map.h"
#include "podmanager/config.pb.h"

namespace podvisor {

// The pod's sysctls by their names with dots, with containerd's defaults (any port and ping sockets for every user)
// where the pod says nothing. kInvalidArgument for one that is not namespaced: though the kernel is the pod's own, the
// same pod has to be refused or accepted on every node.
absl::StatusOr<google::protobuf::Map<std::string, std::string>> PodSysctls(const SandboxConfig& config);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_SYSCTLS_H_
