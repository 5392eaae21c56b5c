#include "agent/guest/free_pages.h"

#include <sys/mman.h>

namespace podvisor::guest {

void OverwriteFreePages() {
  // More than a rehearsal frees between its program's end and its own.
  constexpr size_t kBytes = 2 << 20;
  // Not as one huge page, which would be another place.
  void* const memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  ::madvise(memory, kBytes, MADV_NOHUGEPAGE);
  ::madvise(memory, kBytes, MADV_POPULATE_WRITE);
  ::munmap(memory, kBytes);
}

}  // namespace podvisor::guest
