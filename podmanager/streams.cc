// StartExec, Attach, DialPort.
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/ids.h"
#include "podmanager/io/attach_stream.h"
#include "podmanager/io/exec_stream.h"
#include "podmanager/io/port_stream.h"
#include "podmanager/paths.h"
#include "podmanager/pod_manager_impl.h"
#include "podmanager/spec/container_spec.h"

namespace podvisor {
namespace {

std::string SharedFolderOf(const PodContext& context, const Sandbox& sandbox) {
  if (!sandbox.handler()->hypervisor->capabilities().shared_folder) return "";
  return SandboxSharedDir(context.options.run_dir, sandbox.id());
}

}  // namespace

absl::StatusOr<std::shared_ptr<StreamSession>> PodManagerImpl::StartExec(const std::string& id,
                                                                         const std::vector<std::string>& command,
                                                                         const StreamOptions& options,
                                                                         std::shared_ptr<StreamPeer> peer) {
  RETURN_IF_ERROR(CheckAccepting());
  if (command.empty()) return absl::InvalidArgumentError(absl::StrCat("container ", id, ": exec: cmd is empty"));
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, FindRunningContainer(id, "exec"));
  const Sandbox& sandbox = *container->sandbox();
  ASSIGN_OR_RETURN(const Sandbox::Guest guest, ReadyGuest(sandbox), "container ", container->id());
  grpc::Process process;
  if (!process.ParseFromString(container->record().process())) {
    return absl::InternalError(absl::StrCat("container ", container->id(), ": its record holds no process"));
  }
  ExecStreamOptions exec;
  exec.sandbox_id = sandbox.id();
  exec.container_id = container->id();
  exec.exec_id = RandomId();
  ASSIGN_OR_RETURN(exec.process, BuildExecProcess(process, command, options.tty ? Terminal::kYes : Terminal::kNo),  //
                   "container ", container->id());
  exec.shared_folder = SharedFolderOf(context_, sandbox);
  exec.tty = options.tty;
  exec.want_stdin = options.want_stdin;
  exec.want_stdout = options.want_stdout;
  exec.want_stderr = options.want_stderr && !options.tty;
  exec.start_timeout = sandbox.timeouts().agent_call;
  return StartExecStream(context_.loop, guest.agent, std::move(exec), std::move(peer));
}

absl::StatusOr<std::shared_ptr<StreamSession>> PodManagerImpl::Attach(const std::string& id,
                                                                      const StreamOptions& options,
                                                                      std::shared_ptr<StreamPeer> peer) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, FindRunningContainer(id, "attach"));
  ASSIGN_OR_RETURN(const Sandbox::Guest guest, ReadyGuest(*container->sandbox()), "container ", container->id());
  AttachStreamOptions attach;
  attach.container_id = container->id();
  attach.log = container->watchers().log;
  if (attach.log == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container->id(), ": nothing reads its output"));
  }
  const ContainerConfig& config = container->config();
  attach.shared_folder = SharedFolderOf(context_, *container->sandbox());
  attach.tty = config.tty();
  attach.stdin_once = config.stdin_once();
  attach.want_stdin = options.want_stdin && config.stdin();
  attach.want_stdout = options.want_stdout;
  attach.want_stderr = options.want_stderr && !config.tty();
  return StartAttachStream(context_.loop, guest.agent, std::move(attach), std::move(peer));
}

absl::StatusOr<std::shared_ptr<StreamSession>> PodManagerImpl::DialPort(const std::string& sandbox_id, uint16_t port,
                                                                        std::shared_ptr<StreamPeer> peer) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(const std::shared_ptr<Sandbox> sandbox, FindSandbox(sandbox_id));
  ASSIGN_OR_RETURN(const Sandbox::Guest guest, ReadyGuest(*sandbox));
  return StartPortStream(guest.agent, sandbox->id(), port, std::move(peer));
}

}  // namespace podvisor
