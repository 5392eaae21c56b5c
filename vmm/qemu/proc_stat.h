// What /proc says about a process.
#ifndef PODVISOR_VMM_QEMU_PROC_STAT_H_
#define PODVISOR_VMM_QEMU_PROC_STAT_H_

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/process.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Mappings of one of the sizes in `guest_memory` (bytes) are the guest's. kNotFound if it has ended.
absl::StatusOr<VmUsage> ProcessUsage(pid_t pid, const std::set<uint64_t>& guest_memory);

// Adds up what /proc/PID/smaps says.
void AddMappings(absl::string_view smaps, const std::set<uint64_t>& guest_memory, VmUsage& usage);

// Processes that were started with the argument `value` right behind `option`.
std::vector<ProcessIdentity> FindProcesses(const std::string& option, const std::string& value);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_PROC_STAT_H_
