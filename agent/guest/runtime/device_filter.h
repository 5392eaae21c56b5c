// Which devices a cgroup's processes may use: in version 2 a program that the kernel asks (BPF_CGROUP_DEVICE).
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_DEVICE_FILTER_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_DEVICE_FILTER_H_

#include <linux/bpf.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

using DeviceRules = google::protobuf::RepeatedPtrField<grpc::LinuxDeviceCgroup>;

// The last rule that fits decides, as with the rules of version 1; what none fits is allowed. A rule that allows fits
// when it covers all that is asked for, one that denies when it covers any of it. kInvalidArgument for a type or access
// that does not exist.
absl::StatusOr<std::vector<bpf_insn>> CompileDeviceRules(const DeviceRules& rules);

// Puts the rules into force for the cgroup that `cgroup_fd` is. Nothing to do if they allow everything.
absl::Status ApplyDeviceRules(const DeviceRules& rules, int cgroup_fd);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_DEVICE_FILTER_H_
