#include "agent/guest/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "agent/guest/launch/child.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

struct Pipe {
  UniqueFd ours;
  UniqueFd childs;
};

enum class Direction { kToChild, kFromChild };

absl::StatusOr<Pipe> MakePipe(Direction direction) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  Pipe pipe;
  pipe.ours.reset(ends[direction == Direction::kToChild ? 1 : 0]);
  pipe.childs.reset(ends[direction == Direction::kToChild ? 0 : 1]);
  // Only ours: the flag belongs to the open file, and the program expects a blocking one.
  ::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

// fork() with what clone3 adds. The agent has one thread, so the child may do everything that a program may.
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

// While it lives, children are born in the pid namespace of another process.
class PidNamespaceSwitch {
 public:
  PidNamespaceSwitch() = default;
  PidNamespaceSwitch(const PidNamespaceSwitch&) = delete;
  PidNamespaceSwitch& operator=(const PidNamespaceSwitch&) = delete;
  ~PidNamespaceSwitch() {
    if (own_.ok()) ::setns(own_.get(), CLONE_NEWPID);
  }

  absl::Status To(int pidfd) {
    UniqueFd own(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
    if (!own.ok()) return ErrnoStatus(errno, "open /proc/self/ns/pid");
    if (::setns(pidfd, CLONE_NEWPID) != 0) return ErrnoStatus(errno, "join the pid namespace");
    own_ = std::move(own);
    return absl::OkStatus();
  }

 private:
  UniqueFd own_;
};

uint64_t NamespacesOf(const LaunchRequest& request) {
  if (request.container_pidfd >= 0) return 0;
  return CLONE_NEWNS | (request.pid_namespace_of < 0 ? CLONE_NEWPID : 0ull);
}

}  // namespace

absl::StatusOr<Launched> Launch(const LaunchRequest& request) {
  Launched launched;
  ChildFds fds;
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return ErrnoStatus(errno, "socketpair");
  launched.control.reset(sockets[0]);
  fds.control.reset(sockets[1]);
  if (!request.process->terminal()) {
    ASSIGN_OR_RETURN(Pipe in, MakePipe(Direction::kToChild));
    ASSIGN_OR_RETURN(Pipe out, MakePipe(Direction::kFromChild));
    ASSIGN_OR_RETURN(Pipe err, MakePipe(Direction::kFromChild));
    launched.stdin_fd = std::move(in.ours);
    launched.stdout_fd = std::move(out.ours);
    launched.stderr_fd = std::move(err.ours);
    fds.standard[0] = std::move(in.childs);
    fds.standard[1] = std::move(out.childs);
    fds.standard[2] = std::move(err.childs);
  }
  PidNamespaceSwitch switched;
  if (request.pid_namespace_of >= 0) RETURN_IF_ERROR(switched.To(request.pid_namespace_of));
  ASSIGN_OR_RETURN(launched.pid, Clone(NamespacesOf(request), request.cgroup_fd, &launched.pidfd));
  if (launched.pid == 0) RunChild(request, std::move(fds));
  return launched;
}

absl::StatusOr<Reaper> LaunchReaper() {
  Reaper reaper;
  ASSIGN_OR_RETURN(reaper.pid, Clone(CLONE_NEWPID, -1, &reaper.pidfd));
  if (reaper.pid > 0) return reaper;
  ::prctl(PR_SET_NAME, "podvisor-reaper");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close_range(0, ~0u, 0);
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  for (;;) {
    int signal;
    ::sigwait(&all, &signal);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace podvisor::guest
