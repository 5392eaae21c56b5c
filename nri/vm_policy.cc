#include "nri/vm_policy.h"

#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace podvisor {

namespace {

struct Refusal {
  bool asked;
  absl::string_view why;
};

absl::Status First(std::initializer_list<Refusal> refusals) {
  for (const Refusal& refusal : refusals) {
    if (refusal.asked) return absl::UnimplementedError(absl::StrCat(refusal.why));
  }
  return absl::OkStatus();
}

absl::Status CheckMounts(const nri_api::ContainerAdjustment& adjustment) {
  for (const nri_api::Mount& mount : adjustment.mounts()) {
    const bool removal = !mount.destination().empty() && mount.destination()[0] == '-';
    if (!removal && !mount.type().empty() && mount.type() != "bind") {
      return absl::UnimplementedError(absl::StrCat("mount ", mount.destination(), ": of type \"", mount.type(),
                                                   "\": only bind mounts of host paths can be added"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckResources(const nri_api::LinuxResources& resources) {
  const nri_api::LinuxMemory& memory = resources.memory();
  return First({
      {resources.has_blockio_class(), "blockio_class: its classes are the host's, and the guest's disks have none"},
      {resources.has_rdt_class(), "rdt_class: a guest can't partition the host's caches"},
      {resources.devices_size() > 0, "device rules: the guest has no device of the host"},
      {memory.has_kernel() || memory.has_kernel_tcp(), "kernel memory limit: cgroup v2 in the guest has none"},
      {memory.has_swappiness(), "memory swappiness: cgroup v2 in the guest has none"},
      {memory.has_disable_oom_killer(), "disable_oom_killer: cgroup v2 in the guest can't"},
      {memory.has_use_hierarchy(), "memory use_hierarchy: cgroup v2 in the guest always does"},
      {resources.cpu().has_realtime_runtime() || resources.cpu().has_realtime_period(),
       "real-time CPU budget: cgroup v2 in the guest has none"},
  });
}

absl::Status CheckAdjustment(const nri_api::ContainerAdjustment& adjustment) {
  const nri_api::LinuxContainerAdjustment& linux = adjustment.linux();
  RETURN_IF_ERROR(First({
      {adjustment.has_hooks(), "OCI hooks: they are programs of the host, and the container's processes are in a VM"},
      {adjustment.cdi_devices_size() > 0, "CDI devices: the guest has no device of the host"},
      {linux.devices_size() > 0, "devices: the guest has no device of the host"},
      {linux.namespaces_size() > 0, "namespaces: the host's can't be joined from a VM"},
      {!linux.cgroups_path().empty(), "cgroups_path: the container's cgroup is in the guest"},
      {linux.net_devices_size() > 0, "network devices: they can't be moved into a VM"},
      {linux.has_rdt(), "RDT: a guest can't partition the host's caches"},
      {linux.sysctl_size() > 0, "sysctls: they are the pod's, whose VM runs already"},
      {linux.has_seccomp_policy(), "seccomp policy: the pod's own profile is in force"},
      {linux.has_io_priority(), "I/O priority: the guest's agent can't set one"},
      {linux.has_scheduler(), "scheduler: the guest's agent can't set one"},
      {linux.has_memory_policy(), "memory policy: the guest has one NUMA node"},
  }));
  RETURN_IF_ERROR(CheckMounts(adjustment));
  return CheckResources(linux.resources());
}

}  // namespace podvisor
