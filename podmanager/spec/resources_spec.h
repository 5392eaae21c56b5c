// Limits of a container as the agent gets them.
#ifndef PODVISOR_PODMANAGER_SPEC_RESOURCES_SPEC_H_
#define PODVISOR_PODMANAGER_SPEC_RESOURCES_SPEC_H_

#include "absl/status/statusor.h"
#include "podmanager/config.pb.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

// Without device rules. `unified` has no field in the agent's protocol but memory.low and memory.min, which become the
// reservation; the rest is in the spec's annotations, see container_spec.cc.
// kInvalidArgument for negative limits and malformed hugepage sizes.
absl::StatusOr<grpc::LinuxResources> BuildResources(const Resources& resources);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_RESOURCES_SPEC_H_
