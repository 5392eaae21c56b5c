#include "agent/guest/launch/clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

// What the child in between leaves, in memory that it shares with the caller.
struct Outcome {
  pid_t pid;  // by the kernel, before the process runs
  int code;
  size_t size;
  char message[1024];
};

struct Unmap {
  void operator()(Outcome* outcome) const { ::munmap(outcome, sizeof(Outcome)); }
};

void SetError(const absl::Status& status, Outcome* outcome) {
  outcome->code = static_cast<int>(status.code());
  outcome->size = std::min(status.message().size(), sizeof(outcome->message));
  ::memcpy(outcome->message, status.message().data(), outcome->size);
}

// True in the new process; false in the one in between, after an error.
bool GoAndClone(absl::FunctionRef<absl::Status()> go, uint64_t flags, Outcome* outcome) {
  const absl::Status gone = go();
  if (!gone.ok()) {
    SetError(gone, outcome);
    return false;
  }
  clone_args args{};
  // The signal of its end is that of the one in between.
  args.flags = flags | CLONE_PARENT | CLONE_PARENT_SETTID;
  args.parent_tid = reinterpret_cast<uint64_t>(&outcome->pid);
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid == 0) return true;
  if (pid > 0) ::_exit(0);
  SetError(ErrnoStatus(errno, "clone"), outcome);
  return false;
}

}  // namespace

absl::StatusOr<pid_t> Clone(uint64_t flags, int cgroup_fd, UniqueFd* pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0ull);
  args.pidfd = reinterpret_cast<uint64_t>(&fd);
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup_fd >= 0 ? static_cast<uint64_t>(cgroup_fd) : 0;
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return ErrnoStatus(errno, "clone");
  if (pid > 0) pidfd->reset(fd);
  return static_cast<pid_t>(pid);
}

absl::StatusOr<pid_t> CloneFrom(absl::FunctionRef<absl::Status()> go, uint64_t flags, int cgroup_fd, UniqueFd* pidfd) {
  void* const shared = ::mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return ErrnoStatus(errno, "mmap");
  const std::unique_ptr<Outcome, Unmap> outcome(static_cast<Outcome*>(shared));
  UniqueFd between_fd;
  ASSIGN_OR_RETURN(const pid_t between, Clone(0, cgroup_fd, &between_fd));
  if (between == 0) {
    if (GoAndClone(go, flags, outcome.get())) return 0;
    ::_exit(127);
  }
  while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (outcome->pid <= 0) {
    const auto code = static_cast<absl::StatusCode>(outcome->code);
    if (code == absl::StatusCode::kOk) return absl::InternalError("the child that was to make the process was killed");
    return absl::Status(code, absl::string_view(outcome->message, std::min(outcome->size, sizeof(outcome->message))));
  }
  // Its number stays its own until we reap it.
  pidfd->reset(static_cast<int>(::syscall(SYS_pidfd_open, outcome->pid, 0)));
  if (!pidfd->ok()) return ErrnoStatus(errno, "pidfd_open");
  return outcome->pid;
}

}  // namespace podvisor::guest
