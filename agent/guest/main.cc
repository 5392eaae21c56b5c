// podvisor-agent: PID 1 of a pod's guest; or, with KATA_AGENT_SERVER_ADDR=unix://PATH, a daemon that serves there, as
// the stock Kata agent does, so that it can be tested without a VM.
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "agent/guest/agent.h"
#include "agent/guest/init.h"
#include "agent/guest/log.h"
#include "agent/guest/storages/block_devices.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {
namespace {

// To take the pages of a large piece of a stream from the kernel and give them back, piece for piece, would cost more
// than the piece: connections give them back when the stream is over.
constexpr int kKeptHeapBytes = 4 << 20;
constexpr char kPortName[] = "podvisor.agent";
constexpr absl::string_view kUnixPrefix = "unix://";

void Reap(Agent& agent) {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) agent.OnChildExit(pid, status);
}

absl::StatusOr<UniqueFd> BlockSignals() {
  // Whoever started us may have ignored some, which containers would inherit.
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return ErrnoStatus(errno, "sigprocmask");
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.ok()) return ErrnoStatus(errno, "signalfd");
  return fd;
}

void OnSignals(Agent& agent, int fd) {
  signalfd_siginfo info;
  bool terminate = false;
  while (::read(fd, &info, sizeof(info)) == sizeof(info)) terminate |= info.ssi_signo != SIGCHLD;
  Reap(agent);
  // PID 1 ends with its machine.
  if (terminate && agent.role == Role::kDaemon) agent.Destroy([&agent] { agent.loop.Stop(); });
}

absl::Status Serve(Agent& agent) {
  if (agent.role == Role::kDaemon) {
    const char* address = ::getenv("KATA_AGENT_SERVER_ADDR");
    const absl::string_view text = address == nullptr ? "" : address;
    if (!(text.substr(0, kUnixPrefix.size()) == kUnixPrefix)) {
      return absl::InvalidArgumentError("KATA_AGENT_SERVER_ADDR=unix://PATH says where to listen: it is not set");
    }
    return agent.server.ListenUnix(std::string(text.substr(kUnixPrefix.size())));
  }
  const absl::Status vsock = agent.server.ListenVsock(kVsockPort);
  if (!vsock.ok() && !absl::IsUnavailable(vsock)) Log(vsock.message());
  agent.uevents.WaitFor([] { return FindSerialPort(kPortName, "/sys"); }, -1,
                        [&agent](const absl::StatusOr<std::string>& device) {
                          const absl::Status status = device.ok() ? agent.server.ServePort(*device) : device.status();
                          if (!status.ok()) Log("serial port: ", status.message());
                        });
  return absl::OkStatus();
}

absl::Status Run(Role role) {
  ::mallopt(M_MMAP_THRESHOLD, kKeptHeapBytes);
  ::mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  RETURN_IF_ERROR(role == Role::kInit ? SetUpGuest() : Isolate());
  if (role == Role::kDaemon) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ASSIGN_OR_RETURN(const UniqueFd signals, BlockSignals());
  // Beside others, the folder's name says whose it is.
  auto cgroups = CgroupTree::Create(role == Role::kInit ? "podvisor" : absl::StrCat("podvisor-agent-", ::getpid()));
  if (!cgroups.ok()) Log("containers are not limited: ", cgroups.status().message());
  Agent agent(role, cgroups.ok() ? *std::move(cgroups) : nullptr);
  RETURN_IF_ERROR(
      agent.loop.Watch(signals.get(), EPOLLIN, [&agent, fd = signals.get()](uint32_t) { OnSignals(agent, fd); }));
  RETURN_IF_ERROR(Serve(agent));
  if (role == Role::kInit) agent.SetSettling(LoadLateModules());
  agent.loop.Run();
  return absl::OkStatus();
}

}  // namespace
}  // namespace podvisor::guest

int main(int argc, char** argv) {
  using podvisor::guest::Role;
  if (argc > 1 && ::strcmp(argv[1], "--version") == 0) {
    podvisor::guest::Log(podvisor::guest::kAgentVersion);
    return 0;
  }
  const Role role = ::getpid() == 1 && ::getenv("KATA_AGENT_SERVER_ADDR") == nullptr ? Role::kInit : Role::kDaemon;
  const absl::Status status = podvisor::guest::Run(role);
  if (!status.ok()) podvisor::guest::Log(status.message());
  if (role == Role::kInit) podvisor::guest::PowerOff();
  return status.ok() ? 0 : 1;
}
