// A container's file system, made in its own mount namespace. Runs in the child.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_ROOTFS_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_ROOTFS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/guest/launch/mount_options.h"
#include "base/unique_fd.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

struct PlannedMount {
  const grpc::Mount* mount;  // the spec's
  MountOptions options;
  UniqueFd tree;  // of a bind mount, not attached yet
  bool is_folder = true;
};
using RootfsPlan = std::vector<PlannedMount>;

// Finds the sources of bind mounts, as who may see all of the guest's files, where the agent's mounts still are. Errors
// name the mount.
absl::StatusOr<RootfsPlan> PlanRootfs(const grpc::Spec& spec);

// In a mount namespace of the container's own: mounts what the spec says into its root, makes devices and links, and
// enters it: afterwards "/" is the container's. Errors name the mount.
absl::Status EnterRootfs(const grpc::Spec& spec, const RootfsPlan& plan);

// Read-only root, masked and read-only paths: the last steps, when nothing has to be made in it any more.
absl::Status SealRootfs(const grpc::Spec& spec);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_ROOTFS_H_
