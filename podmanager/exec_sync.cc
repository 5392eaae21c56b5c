// ExecSync and ReopenContainerLog.
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/ids.h"
#include "podmanager/io/exec_session.h"
#include "podmanager/pod_manager_impl.h"
#include "podmanager/spec/container_spec.h"

namespace podvisor {

absl::StatusOr<ExecResult> PodManagerImpl::ExecSync(const std::string& id, const std::vector<std::string>& command,
                                                    absl::Duration timeout, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  if (command.empty()) return absl::InvalidArgumentError(absl::StrCat("container ", id, ": exec: cmd is empty"));
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindRunningContainer(id, "exec"));
  const Sandbox& sandbox = *container->sandbox();
  ASSIGN_OR_RETURN(const Sandbox::Guest guest, ReadyGuest(sandbox), "container ", container->id());
  grpc::Process process;
  if (!process.ParseFromString(container->record().process())) {
    return absl::InternalError(absl::StrCat("container ", container->id(), ": its record holds no process"));
  }
  ExecSyncOptions options;
  options.sandbox_id = sandbox.id();
  options.container_id = container->id();
  options.exec_id = RandomId();
  ASSIGN_OR_RETURN(options.process, BuildExecProcess(process, command, Terminal::kNo), "container ", container->id());
  options.timeout = timeout;
  options.deadline = deadline;
  absl::StatusOr<ExecResult> result = RunExecSync(context_.loop, guest.agent, options);
  if (absl::IsCancelled(result.status())) {  // our side of the connection was closed
    return absl::UnavailableError(absl::StrCat("container ", container->id(), ": exec: its sandbox has ended"));
  }
  return result;  // an error names the container
}

absl::Status PodManagerImpl::ReopenContainerLog(const std::string& id) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindContainer(id));
  const std::shared_ptr<ContainerLog> log = container->watchers().log;
  if (log == nullptr || container->phase() != ContainerPhase::kRunning) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", container->id(), " is ", Name(container->phase()), ": it writes no log"));
  }
  return Annotate(log->Reopen(), "container ", container->id(), ": reopen log");
}

}  // namespace podvisor
