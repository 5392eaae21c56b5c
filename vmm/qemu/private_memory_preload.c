// Preloaded into a QEMU that is a clone: makes the template's memory file one that can't be changed.
//
// With memory-backend-file,share=off QEMU (7.2; others alike) still opens the file for writing, and gives free pages of
// the guest back by punching holes into the *file*, under all other clones (ram_block_discard_range() in softmmu/
// physmem.c; QEMU 8.2 warns of it). So the file is opened once, by the daemon, read-only, and QEMU gets that descriptor
// instead: a private mapping needs no more. The hole is left out; QEMU drops its own copies of the pages by madvise()
// right after it, and the guest may find anything in a page that it has reported as free.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char kMemoryPath[] = "/proc/self/fd/" PODVISOR_MEMORY_FD_TEXT;
static int g_memory_fd = -1;  // QEMU's; set before QEMU has a second thread that could ask

#define EXPORTED __attribute__((visibility("default")))

static int Open(const char* path, int flags, mode_t mode) {
  if (strcmp(path, kMemoryPath) != 0) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  g_memory_fd = fcntl(PODVISOR_MEMORY_FD, F_DUPFD_CLOEXEC, 3);
  return g_memory_fd;
}

EXPORTED int open64(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  return Open(path, flags, mode);
}

// What a call of open64() with two arguments becomes under _FORTIFY_SOURCE.
EXPORTED int __open64_2(const char* path, int flags) { return Open(path, flags, 0); }

EXPORTED int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  if (fd == g_memory_fd && fd >= 0 && (mode & FALLOC_FL_PUNCH_HOLE) != 0) return 0;
  return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}
