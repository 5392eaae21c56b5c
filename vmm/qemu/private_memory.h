// What keeps a clone from changing the memory file of its template: a library that is preloaded into its QEMU.
// private_memory_preload.c says why and how.
#ifndef PODVISOR_VMM_QEMU_PRIVATE_MEMORY_H_
#define PODVISOR_VMM_QEMU_PRIVATE_MEMORY_H_

#include "absl/status/statusor.h"

namespace podvisor {

// The library, as a file without a name that nobody can change. For the life of the process; borrowed.
absl::StatusOr<int> PrivateMemoryLibrary();

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_PRIVATE_MEMORY_H_
