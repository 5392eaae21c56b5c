// Linux capabilities of a container's process.
#ifndef PODVISOR_PODMANAGER_SPEC_CAPABILITIES_H_
#define PODVISOR_PODMANAGER_SPEC_CAPABILITIES_H_

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "podmanager/config.pb.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

// containerd's default set, changed by what the configuration adds and drops ("ALL", "NET_ADMIN", "CAP_NET_ADMIN", in
// any case); all of them if it is privileged. Ambient ones are inheritable too, else the kernel refuses them.
// kInvalidArgument for a name that the kernel does not know.
absl::StatusOr<grpc::LinuxCapabilities> BuildCapabilities(const ContainerConfig& config);

// The bounding set of `capabilities`, for DefaultSeccompProfile().
std::set<std::string> BoundingSet(const grpc::LinuxCapabilities& capabilities);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_CAPABILITIES_H_
