// Device nodes and links of a container's /dev. Runs in the child.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_DEVICES_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_DEVICES_H_

#include "absl/status/status.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

// OCI's default devices, those of the spec, and the usual links, under the root that `root_fd` is.
absl::Status MakeDevices(int root_fd, const grpc::Spec& spec);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_DEVICES_H_
