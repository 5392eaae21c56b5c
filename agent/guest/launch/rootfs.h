// A container's file system, made in its own mount namespace. Runs in the child.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_ROOTFS_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_ROOTFS_H_

#include <string>

#include "absl/status/status.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

// Mounts what the spec says into its root, makes devices and links, and enters it: afterwards "/" is the container's.
// Errors name the mount.
absl::Status EnterRootfs(const grpc::Spec& spec);

// Read-only root, masked and read-only paths: the last steps, when nothing has to be made in it any more.
absl::Status SealRootfs(const grpc::Spec& spec);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_ROOTFS_H_
