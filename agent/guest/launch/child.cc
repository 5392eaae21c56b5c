#include "agent/guest/launch/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "agent/guest/launch/control.h"
#include "agent/guest/launch/credentials.h"
#include "agent/guest/launch/oom_score.h"
#include "agent/guest/launch/program.h"
#include "agent/guest/launch/rootfs.h"
#include "agent/guest/launch/seccomp.h"
#include "agent/guest/launch/terminal.h"
#include "agent/guest/launch/user.h"
#include "agent/guest/sysctls.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr int kControlFd = 3;
constexpr int kSpaceFd = 4;  // of an exec: pidfd of the container's process; else: the user namespace to join

bool HasNamespace(const grpc::Spec& spec, const char* type) {
  for (const grpc::LinuxNamespace& space : spec.linux().namespaces()) {
    if (space.type() == type) return true;
  }
  return false;
}

// Descriptors 0 to 4 as above; nothing of the agent's besides.
void ArrangeDescriptors(ChildFds& fds, int space_fd) {
  // Away from the numbers that are about to be replaced.
  int standard[3];
  for (int i = 0; i < 3; ++i) {
    const int fd = fds.standard[i].ok() ? fds.standard[i].get() : ::open("/dev/null", O_RDWR | O_CLOEXEC);
    standard[i] = ::fcntl(fd, F_DUPFD_CLOEXEC, 10);
  }
  const int control = ::fcntl(fds.control.get(), F_DUPFD_CLOEXEC, 10);
  const int space = ::fcntl(space_fd, F_DUPFD_CLOEXEC, 10);
  for (int i = 0; i < 3; ++i) ::dup2(standard[i], i);
  ::dup3(control, kControlFd, O_CLOEXEC);
  for (UniqueFd& fd : fds.standard) (void)fd.release();
  (void)fds.control.release();
  if (space >= 0) ::dup3(space, kSpaceFd, O_CLOEXEC);
  ::close_range(space >= 0 ? kSpaceFd + 1 : kSpaceFd, ~0u, 0);
}

// What the agent ignores, and what it has blocked: it has no handlers.
void ResetSignals() {
  for (const int signal : {SIGPIPE, SIGHUP}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

absl::Status SetSysctls(const grpc::Spec& spec, uid_t owner) {
  for (const auto& [name, value] : spec.linux().sysctl()) RETURN_IF_ERROR(SetSysctl(name, value, owner));
  return absl::OkStatus();
}

// A hostname of its own takes a namespace of its own: the pod's containers share the guest's.
absl::Status SetHostname(const std::string& hostname) {
  char current[65] = {};
  ::gethostname(current, sizeof(current) - 1);
  if (hostname.empty() || hostname == current) return absl::OkStatus();
  if (::unshare(CLONE_NEWUTS) != 0) return ErrnoStatus(errno, "new uts namespace");
  if (::sethostname(hostname.data(), hostname.size()) != 0) return ErrnoStatus(errno, "sethostname");
  return absl::OkStatus();
}

absl::Status EnterNamespacePaths(const grpc::Spec& spec) {
  struct Kind {
    const char* type;
    int flag;
  };
  constexpr Kind kKinds[] = {{"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"network", CLONE_NEWNET}};
  for (const grpc::LinuxNamespace& space : spec.linux().namespaces()) {
    if (space.path().empty()) continue;
    for (const Kind& kind : kKinds) {
      if (space.type() != kind.type) continue;
      const UniqueFd fd(::open(space.path().c_str(), O_RDONLY | O_CLOEXEC));
      if (!fd.ok() || ::setns(fd.get(), kind.flag) != 0) {
        return ErrnoStatus(errno, absl::StrCat("join ", kind.type, " namespace ", space.path()));
      }
    }
  }
  return absl::OkStatus();
}

// Namespaces, root file system, terminal of a container.
absl::Status SetUpContainer(const LaunchRequest& request, const RootfsPlan& plan, std::optional<Terminal>* terminal) {
  const grpc::Spec& spec = *request.spec;
  if (HasNamespace(spec, "cgroup") && ::unshare(CLONE_NEWCGROUP) != 0) {
    return ErrnoStatus(errno, "new cgroup namespace");
  }
  RETURN_IF_ERROR(SetHostname(spec.hostname()));
  RETURN_IF_ERROR(EnterRootfs(spec, plan));
  if (request.process->terminal()) {
    ASSIGN_OR_RETURN(*terminal, OpenTerminal(request.process->consolesize()));
    RETURN_IF_ERROR(BindConsole(**terminal));
  }
  // The folder a program starts in is made where it is missing, which a sealed root would not allow.
  if (const std::string& cwd = request.process->cwd(); !cwd.empty() && cwd[0] == '/') (void)MakeFolders(cwd);
  return SealRootfs(spec);
}

// What takes rights that a user namespace has not: pipes that are its root's, limits above the agent's own.
absl::Status PrepareForUserNamespace(const LaunchRequest& request) {
  for (int fd = 0; fd <= 2; ++fd) GiveToRoot(request.users, fd);
  return ApplyRlimits(*request.process);
}

absl::Status JoinContainer(const LaunchRequest& request, std::optional<Terminal>* terminal) {
  RETURN_IF_ERROR(TakeOomScore(request.process->oomscoreadj()));
  const bool mapped = request.users.AreMapped();
  if (mapped) RETURN_IF_ERROR(PrepareForUserNamespace(request));
  const int spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
  if (::setns(kSpaceFd, mapped ? spaces | CLONE_NEWUSER : spaces) != 0) {
    if (errno == ESRCH) return absl::FailedPreconditionError("the container's process has exited");
    return ErrnoStatus(errno, "join the container's namespaces");
  }
  if (mapped) RETURN_IF_ERROR(BecomeRoot());
  if (request.process->terminal()) {
    ASSIGN_OR_RETURN(*terminal, OpenTerminal(request.process->consolesize()));
  }
  return absl::OkStatus();
}

absl::Status EnterFolder(const std::string& cwd) {
  if (cwd.empty()) return absl::OkStatus();
  if (cwd[0] != '/') return absl::InvalidArgumentError(absl::StrCat("cwd \"", cwd, "\" is not an absolute path"));
  if (::chdir(cwd.c_str()) == 0) return absl::OkStatus();
  if (errno == ENOENT) RETURN_IF_ERROR(MakeFolders(cwd), "working directory ", cwd);
  if (::chdir(cwd.c_str()) != 0) return ErrnoStatus(errno, absl::StrCat("chdir to working directory \"", cwd, "\""));
  return absl::OkStatus();
}

bool HasHome(const grpc::Process& process) {
  return std::any_of(process.env().begin(), process.env().end(),
                     [](const std::string& variable) { return variable.rfind("HOME=", 0) == 0; });
}

std::vector<std::string> EnvironmentOf(const grpc::Process& process, const ResolvedUser& user) {
  std::vector<std::string> environment(process.env().begin(), process.env().end());
  if (!HasHome(process)) environment.push_back("HOME=" + user.home);
  return environment;
}

// From here to exec everything is the program's own.
absl::Status Become(const LaunchRequest& request, const Terminal* terminal) {
  const grpc::Process& process = *request.process;
  const SeccompFilter* const filter = request.seccomp;
  ASSIGN_OR_RETURN(const ResolvedUser user,
                   ResolveUser(process.user(), "/etc", HasHome(process) ? Home::kGiven : Home::kWanted));
  if (terminal != nullptr) RETURN_IF_ERROR(UseTerminal(*terminal));
  // So that a program may open its /dev/stdout again. Root's they are already.
  for (int fd = 0; user.uid != 0 && fd <= 2; ++fd) (void)!::fchown(fd, user.uid, static_cast<gid_t>(-1));
  if (!request.users.AreMapped()) RETURN_IF_ERROR(ApplyRlimits(process));
  // Once as root, who may see or make it where the user may not.
  RETURN_IF_ERROR(EnterFolder(process.cwd()));
  RETURN_IF_ERROR(DropBoundingSet(process.capabilities()));
  const bool filter_first = filter != nullptr && !process.nonewprivileges();
  if (filter_first) RETURN_IF_ERROR(filter->Load());
  RETURN_IF_ERROR(BecomeUser(user));
  RETURN_IF_ERROR(ApplyCapabilities(process.capabilities()));
  const std::vector<std::string> environment = EnvironmentOf(process, user);
  const std::vector<std::string> args(process.args().begin(), process.args().end());
  ASSIGN_OR_RETURN(const std::string program, FindProgram(args[0], environment));
  if (process.nonewprivileges() && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "no_new_privs");
  }
  if (filter != nullptr && !filter_first) RETURN_IF_ERROR(filter->Load());
  return Execute(program, args, environment);
}

}  // namespace

absl::Status Child::Prepare() {
  if (!std::exchange(arranged_, true)) {
    ResetSignals();
    ::umask(0022);
    ArrangeDescriptors(fds_, request_.container_pidfd >= 0 ? request_.container_pidfd : request_.users.fd);
  }
  if (request_.container_pidfd >= 0 || std::exchange(prepared_, true)) return absl::OkStatus();
  RETURN_IF_ERROR(EnterNamespacePaths(*request_.spec));
  RETURN_IF_ERROR(SetSysctls(*request_.spec, request_.ipc_owner));
  RETURN_IF_ERROR(TakeOomScore(request_.process->oomscoreadj()));
  ASSIGN_OR_RETURN(plan_, PlanRootfs(*request_.spec));
  if (!request_.users.AreMapped()) return absl::OkStatus();
  RETURN_IF_ERROR(PrepareForUserNamespace(request_));
  return BecomeNamespaceRoot(kSpaceFd);
}

absl::Status Child::TryRun() {
  RETURN_IF_ERROR(Prepare());
  ::setsid();
  std::optional<Terminal> terminal;
  const bool is_exec = request_.container_pidfd >= 0;
  if (is_exec) {
    RETURN_IF_ERROR(JoinContainer(request_, &terminal));
  } else {
    // Owned by the user namespace: the agent could not make it.
    if (request_.users.AreMapped() && ::unshare(CLONE_NEWNS) != 0) return ErrnoStatus(errno, "new mount namespace");
    RETURN_IF_ERROR(SetUpContainer(request_, plan_, &terminal));
  }
  // Nobody waits for an exec to be ready: one message less is one switch to the agent and back less.
  if (!is_exec || terminal.has_value()) SendReady(kControlFd, terminal.has_value() ? terminal->master.get() : -1);
  if (!is_exec && !AwaitStart(kControlFd)) return absl::CancelledError("never started");
  return Become(request_, terminal.has_value() ? &*terminal : nullptr);
}

void Child::Run() {
  SendFailure(kControlFd, TryRun());
  ::_exit(127);
}

}  // namespace podvisor::guest
