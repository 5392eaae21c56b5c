// The program of rehearsal.erofs: what a VM of the pool runs before it is given to a pod. The first exec, fault, fork,
// mount or socket in a fresh clone costs many times what the second does, so this does once what containers do at their
// start. It leaves nothing behind but what goes with its container.
//
//   rehearse   all of that once, a line to stdout, then waits for SIGTERM (exit code 0): for a container's process
//   true       exit code 0: for an exec
//
// No libc: it is a few KB, has the same bytes wherever it is built, and is its own dynamic linker, so that the kernel's
// way of starting dynamic programs is rehearsed as well (/bin/dynamic has /bin/rehearsal as interpreter).
#include <asm/unistd.h>
#include <stddef.h>

#if !defined(__x86_64__)
#error "the calling convention of system calls below is that of x86-64"
#endif

enum { kSigTerm = 15, kSigChld = 17, kAtFdcwd = -100, kReadWriteCreate = 0x42, kPage = 4096, kPages = 64 };

static long Call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define SYS(name, a, b, c) Call(__NR_##name, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static char buffer[kPage];

static void Exit(int code) {
  for (;;) SYS(exit_group, code, 0, 0);
}

static int Same(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

static void ReadFile(const char* path) {
  const long fd = SYS(openat, kAtFdcwd, path, 0);
  if (fd < 0) return;
  while (SYS(read, fd, buffer, sizeof buffer) > 0) {
  }
  SYS(lseek, fd, 0, 0);
  SYS(fstat, fd, buffer, 0);
  SYS(getdents64, fd, buffer, sizeof buffer);  // of a folder
  SYS(close, fd, 0, 0);
}

static void WriteFile(const char* path) {
  const long fd = Call(__NR_openat, kAtFdcwd, (long)path, kReadWriteCreate, 0644, 0, 0);
  if (fd < 0) return;
  SYS(write, fd, buffer, sizeof buffer);
  SYS(ftruncate, fd, 0, 0);
  SYS(close, fd, 0, 0);
  SYS(unlink, path, 0, 0);
}

static void UseMemory(void) {
  const long pages = Call(__NR_mmap, 0, kPages * kPage, 3, 0x22, -1, 0);
  if (pages < 0 && pages > -kPage) return;
  for (int i = 0; i < kPages; ++i) *(volatile char*)(pages + i * kPage) = 1;
  SYS(mprotect, pages, kPage, 1);
  SYS(munmap, pages, kPages * kPage, 0);
}

// Forks a child that executes `path`; waits for it.
static void Run(const char* path, const char* argument) {
  const char* const arguments[] = {path, argument, NULL};
  const char* const environment[] = {"PATH=/bin", NULL};
  long child = Call(__NR_clone, kSigChld, 0, 0, 0, 0, 0);
  if (child == 0) {
    SYS(execve, path, arguments, environment);
    Exit(127);
  }
  if (child > 0) Call(__NR_wait4, child, 0, 0, 0, 0, 0);
}

static void UseSockets(void) {
  for (int family = 1; family <= 2; ++family) {
    const long fd = SYS(socket, family, 1, 0);
    if (fd >= 0) SYS(close, fd, 0, 0);
  }
}

static void UsePipe(void) {
  int ends[2];
  if (SYS(pipe2, ends, 0, 0) != 0) return;
  SYS(write, ends[1], buffer, 1);
  SYS(read, ends[0], buffer, 1);
  SYS(close, ends[0], 0, 0);
  SYS(close, ends[1], 0, 0);
}

static void Rehearse(void) {
  static const char* const kRead[] = {"/",           "/etc/passwd",       "/etc/hosts", "/etc/resolv.conf",
                                      "/proc/mounts", "/proc/self/status", "/dev/null",  "/sys/fs/cgroup"};
  for (size_t i = 0; i < sizeof kRead / sizeof kRead[0]; ++i) ReadFile(kRead[i]);
  WriteFile("/tmp/rehearsal");
  WriteFile("/etc/rehearsal");
  WriteFile("/dev/shm/rehearsal");
  UseMemory();
  UsePipe();
  UseSockets();
  Run("/bin/rehearsal", "true");
  Run("/bin/dynamic", "true");
}

static void WaitForTerm(void) {
  unsigned long set = 1ul << (kSigTerm - 1);
  Call(__NR_rt_sigprocmask, 0, (long)&set, 0, sizeof set, 0, 0);
  SYS(write, 1, "rehearsed\n", 10);
  Call(__NR_rt_sigtimedwait, (long)&set, 0, 0, sizeof set, 0, 0);
}

// `stack` is what the kernel has put there: argc, argv.
__attribute__((used)) static void Main(long* stack) {
  const long count = stack[0];
  char** arguments = (char**)(stack + 1);
  const char* command = count > 1 ? arguments[1] : "";
  if (Same(command, "true")) Exit(0);
  if (!Same(command, "rehearse")) Exit(2);
  Rehearse();
  WaitForTerm();
  Exit(0);
}

__asm__(
    ".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call Main\n");
