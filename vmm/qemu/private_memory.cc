#include "vmm/qemu/private_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "vmm/qemu/command_line.h"
#include "vmm/qemu/private_memory_library.h"

namespace podvisor {
namespace {

static_assert(kMemoryFd == 9, "BUILD says it to the library");

absl::StatusOr<UniqueFd> MakeLibrary() {
  UniqueFd fd(::memfd_create("private-memory.so", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.ok()) return ErrnoStatus(errno, "memfd_create");
  const auto size = static_cast<ssize_t>(sizeof kPrivateMemoryLibrary);
  if (::write(fd.get(), kPrivateMemoryLibrary, sizeof kPrivateMemoryLibrary) != size)
    return ErrnoStatus(errno, "write to a memfd");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return ErrnoStatus(errno, "seal a memfd");
  return fd;
}

}  // namespace

absl::StatusOr<int> PrivateMemoryLibrary() {
  static const auto& library = *new absl::StatusOr<UniqueFd>(MakeLibrary());
  RETURN_IF_ERROR(library.status(), "the library for clones");
  return library->get();
}

}  // namespace podvisor
