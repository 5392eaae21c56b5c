// Which devices a cgroup's processes may use: in version 2 a program that the kernel asks (BPF_CGROUP_DEVICE).
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_DEVICE_FILTER_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_DEVICE_FILTER_H_

#include <linux/bpf.h>

#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

using DeviceRules = google::protobuf::RepeatedPtrField<grpc::LinuxDeviceCgroup>;

// The last rule that fits decides, as with the rules of version 1; what none fits is allowed. A rule that allows fits
// when it covers all that is asked for, one that denies when it covers any of it. kInvalidArgument for a type or access
// that does not exist.
absl::StatusOr<std::vector<bpf_insn>> CompileDeviceRules(const DeviceRules& rules);

// Puts rules into force. The last few programs stay loaded: to check and translate one takes the kernel as long as all
// else that a cgroup costs, and the containers of a pod mostly have the same rules.
class DeviceFilters {
 public:
  // For the cgroup that `cgroup_fd` is. Nothing to do if the rules allow everything.
  absl::Status Apply(const DeviceRules& rules, int cgroup_fd);
  // Attaches a filter that allows everything. The kernel patches its code when the first cgroup gets one and when the
  // last one goes: done to a cgroup that stays, this happens once.
  absl::Status StayOn(int cgroup_fd);

 private:
  struct Entry {
    std::vector<bpf_insn> instructions;
    UniqueFd program;
  };
  absl::StatusOr<int> Load(std::vector<bpf_insn> instructions);

  std::deque<Entry> entries_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_DEVICE_FILTER_H_
