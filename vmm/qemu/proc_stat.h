// What /proc says about a process.
#ifndef PODVISOR_VMM_QEMU_PROC_STAT_H_
#define PODVISOR_VMM_QEMU_PROC_STAT_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/process.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// kNotFound if it has ended.
absl::StatusOr<VmUsage> ProcessUsage(pid_t pid);

// Processes that were started with the argument `value` right behind `option`.
std::vector<ProcessIdentity> FindProcesses(const std::string& option, const std::string& value);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_PROC_STAT_H_
