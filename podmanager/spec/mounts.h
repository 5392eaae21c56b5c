// The mounts of a container: the usual ones, the pod's files, what the configuration asks for.
#ifndef PODVISOR_PODMANAGER_SPEC_MOUNTS_H_
#define PODVISOR_PODMANAGER_SPEC_MOUNTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "podmanager/spec/container_spec.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

// In the order they are to be made: fewer path components first, as containerd and runc sort them.
absl::StatusOr<std::vector<grpc::Mount>> BuildMounts(const ContainerSpecInput& input);

// What the agent mounts before: the image's disk and the overlay on it.
absl::StatusOr<std::vector<grpc::Storage>> BuildStorages(const ContainerSpecInput& input);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_MOUNTS_H_
