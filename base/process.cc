#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace podvisor {
namespace {

int PidfdOpen(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

absl::StatusOr<uint64_t> StartTicks(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/stat");
  ASSIGN_OR_RETURN(const std::string stat, ReadFile(path, 4096));
  // The name in field 2 may hold anything, a parenthesis too: fields are counted from the last one.
  const size_t end_of_name = stat.rfind(") ");
  if (end_of_name == std::string::npos) return absl::InternalError(absl::StrCat(path, ": no command name"));
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(end_of_name + 2), ' ');
  constexpr size_t kStartTime = 22 - 3;
  uint64_t ticks = 0;
  if (fields.size() <= kStartTime || !absl::SimpleAtoi(fields[kStartTime], &ticks))
    return absl::InternalError(absl::StrCat(path, ": no start time"));
  return ticks;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Filled by the child in our memory; read by us once it has exec'ed or exited. Atomic, since to the compiler nothing
// that is written before an _exit is ever read.
struct ChildFailure {
  std::atomic<const char*> step = nullptr;
  std::atomic<int> error_number = 0;
};

struct ChildPlan {
  char* const* argv;
  char* const* envp;
  std::vector<std::pair<int, int>> fds;  // ours, theirs
  std::vector<int> scratch;              // as many as fds
  int lowest_unused = 3;
  const SpawnOptions* options;
};

// Runs between vfork and exec: system calls only.
void ExecChild(ChildPlan& plan, ChildFailure& failure) {
  const auto fail = [&](const char* step, int error_number) {
    failure.step = step;
    failure.error_number = error_number;
    ::_exit(127);
  };
  // Marked, not closed: steps may still need what the caller opened for them (a netns, a cgroup.procs). dup2 below
  // makes the ones that are passed on inheritable again.
  if (::syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) != 0) fail("close_range", errno);
  // Out of the way first, so that no dup2 overwrites a descriptor that a later one copies from.
  for (size_t i = 0; i < plan.fds.size(); ++i) {
    plan.scratch[i] = ::fcntl(plan.fds[i].first, F_DUPFD_CLOEXEC, plan.lowest_unused);
    if (plan.scratch[i] < 0) fail("duplicate a descriptor", errno);
  }
  for (size_t i = 0; i < plan.fds.size(); ++i)
    if (::dup2(plan.scratch[i], plan.fds[i].second) < 0) fail("place a descriptor", errno);
  if (plan.options->session == Session::kOwn && ::setsid() < 0) fail("setsid", errno);
  for (const ChildStep& step : plan.options->steps)
    if (const int error_number = step.run(); error_number != 0) fail(step.name, error_number);
  struct sigaction dfl = {};
  dfl.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &dfl, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.argv[0], plan.argv, plan.envp);
  fail("exec", errno);
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (code.has_value()) return absl::StrCat("exit code ", *code);
  if (signal.has_value()) return absl::StrCat("signal ", *signal, " (", ::strsignal(*signal), ")");
  return "unknown exit status";
}

absl::StatusOr<Process> Process::Adopt(ProcessIdentity identity) {
  UniqueFd pidfd(PidfdOpen(identity.pid));
  if (!pidfd.ok()) {
    if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("process ", identity.pid, " has ended"));
    return ErrnoStatus(errno, absl::StrCat("pidfd_open ", identity.pid));
  }
  // After the pidfd: from here on the pid can't become another's without the comparison failing.
  const absl::StatusOr<uint64_t> ticks = StartTicks(identity.pid);
  if (!ticks.ok() || *ticks != identity.start_ticks)
    return absl::NotFoundError(absl::StrCat("process ", identity.pid, " has ended and its pid is another's"));
  return Process(identity, std::move(pidfd));
}

absl::Status Process::Signal(int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0 || errno == ESRCH)
    return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("signal ", signal, " to process ", identity_.pid));
}

absl::StatusOr<ExitStatus> Process::Wait(absl::Time deadline) {
  if (exit_.has_value()) return *exit_;
  for (;;) {
    const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
    const int timeout = static_cast<int>(
        std::min<int64_t>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))), 1 << 30));
    pollfd poll_fd = {pidfd_.get(), POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, timeout);
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, absl::StrCat("poll process ", identity_.pid));
    if (ready == 0 && absl::Now() >= deadline)
      return absl::DeadlineExceededError(absl::StrCat("process ", identity_.pid, " has not ended"));
  }
  siginfo_t info = {};
  ExitStatus exit;
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info, WEXITED) == 0) {
    if (info.si_code == CLD_EXITED)
      exit.code = info.si_status;
    else
      exit.signal = info.si_status;
  } else if (errno != ECHILD) {  // ECHILD: not our child, an earlier daemon's
    return ErrnoStatus(errno, absl::StrCat("wait for process ", identity_.pid));
  }
  exit_ = exit;
  return exit;
}

absl::StatusOr<Process> Spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("spawn: no program given");
  const std::string& program = options.argv.front();
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.ok()) return ErrnoStatus(errno, "open /dev/null");

  const std::vector<char*> argv = Pointers(options.argv);
  std::vector<char*> env;
  if (options.env.has_value()) env = Pointers(*options.env);
  ChildPlan plan = {argv.data(), options.env.has_value() ? env.data() : environ, {}, {}, 3, &options};
  const auto or_null = [&](int fd) { return fd < 0 ? null.get() : fd; };
  plan.fds = {{or_null(options.stdin_fd), 0}, {or_null(options.stdout_fd), 1}, {or_null(options.stderr_fd), 2}};
  for (const auto& fd : options.pass_fds) {
    plan.fds.push_back(fd);
    plan.lowest_unused = std::max(plan.lowest_unused, fd.second + 1);
  }
  plan.scratch.resize(plan.fds.size());

  // A signal handler of ours must not run in the child while it shares our memory.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  ChildFailure failure;
  const pid_t pid = ::vfork();
  if (pid == 0) ExecChild(plan, failure);
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return ErrnoStatus(fork_error, absl::StrCat("fork for ", program));
  if (const char* const step = failure.step; step != nullptr) {
    ::waitpid(pid, nullptr, 0);
    return ErrnoStatus(failure.error_number, absl::StrCat("start ", program, ": ", step));
  }
  // Our unreaped child: its pid can't be reused before these two.
  UniqueFd pidfd(PidfdOpen(pid));
  if (!pidfd.ok()) return ErrnoStatus(errno, absl::StrCat("pidfd_open of ", program));
  ASSIGN_OR_RETURN(const uint64_t ticks, StartTicks(pid), "start ", program);
  return Process({pid, ticks}, std::move(pidfd));
}

}  // namespace podvisor
