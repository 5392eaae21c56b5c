#include "agent/guest/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "agent/guest/launch/child.h"
#include "agent/guest/launch/clone.h"
#include "agent/guest/launch/oom_score.h"
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

// Of a container. The pid namespace has to be made from within the user namespace that is to own it, and the process
// in it is another than the one that goes there.
absl::StatusOr<pid_t> CloneContainer(const LaunchRequest& request, Child& child, UniqueFd* pidfd) {
  const bool own_pids = request.pid_namespace_of < 0;
  if (!request.users.AreMapped()) {
    return Clone(CLONE_NEWNS | (own_pids ? CLONE_NEWPID : 0ull), request.cgroup_fd, pidfd);
  }
  if (!own_pids) return Clone(0, request.cgroup_fd, pidfd);
  return CloneFrom([&child] { return child.Prepare(); }, CLONE_NEWPID, request.cgroup_fd, pidfd);
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
  Child child(request, std::move(fds));
  const bool is_exec = request.container_pidfd >= 0;
  if (::getpid() == 1) RETURN_IF_ERROR(TakeOomScore(request.process->oomscoreadj()));
  ASSIGN_OR_RETURN(launched.pid, is_exec ? Clone(0, request.cgroup_fd, &launched.pidfd)
                                         : CloneContainer(request, child, &launched.pidfd));
  if (launched.pid == 0) child.Run();
  return launched;
}

absl::StatusOr<Reaper> LaunchReaper(const PodUsers& users) {
  Reaper reaper;
  // With it the pod's processes would end: as unwelcome a victim as the kubelet makes a pod's pause container.
  if (::getpid() == 1) RETURN_IF_ERROR(TakeOomScore(-998));
  ASSIGN_OR_RETURN(reaper.pid, users.AreMapped() ? CloneFrom([&users] { return BecomeNamespaceRoot(users.fd); },
                                                             CLONE_NEWPID, -1, &reaper.pidfd)
                                                 : Clone(CLONE_NEWPID, -1, &reaper.pidfd));
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
