// RemoveContainer.
#include <spdlog/spdlog.h>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/container_operations.h"
#include "podmanager/image_volumes.h"
#include "podmanager/paths.h"
#include "podmanager/tell_hooks.h"
#include "podmanager/vm_size.h"
#include "storage/shared_folder.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

absl::Status RemoveFromAgent(AgentClient& agent, const std::string& container_id, absl::Duration timeout) {
  grpc::RemoveContainerRequest request;
  request.set_container_id(container_id);
  google::protobuf::Empty empty;
  absl::Status status = agent.Call(kAgentService, "RemoveContainer", request, &empty, absl::Now() + timeout);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// Agent first: it unmounts what the disk and the binds are under.
absl::Status ReleaseInGuest(PodContext& context, Container& container, const Sandbox::Guest& guest) {
  const std::shared_ptr<Sandbox>& sandbox = container.sandbox();
  RETURN_IF_ERROR(RemoveFromAgent(*guest.agent, container.id(), sandbox->timeouts().agent_call), "remove from guest");
  if (const std::string disk_path = container.record().disk_path(); !disk_path.empty()) {
    RETURN_IF_ERROR(sandbox->disks().Detach(*guest.vm, disk_path, container.id()));
  }
  RETURN_IF_ERROR(DetachImageVolumes(container, *guest.vm));
  if (!sandbox->handler()->hypervisor->capabilities().shared_folder) return absl::OkStatus();
  SharedFolder shared(SandboxSharedDir(context.options.run_dir, sandbox->id()));
  for (int i = 0; i < container.effective_config().mounts_size(); ++i) {
    RETURN_IF_ERROR(shared.Unbind(SharedMountName(container.id(), static_cast<size_t>(i))));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReleaseContainer(PodContext& context, Container& container) {
  StopWatching(container);
  Sandbox& sandbox = *container.sandbox();
  if (absl::StatusOr<Sandbox::Guest> guest = ReadyGuest(sandbox); guest.ok()) {
    absl::Status status = ReleaseInGuest(context, container, *guest);
    // A guest that has gone meanwhile took the container's process, disk and mounts with it.
    if (!status.ok() && sandbox.phase() == SandboxPhase::kReady && sandbox.vm_exit_reason().empty()) {
      return Annotate(std::move(status), "container ", container.id());
    }
  }
  RETURN_IF_ERROR(context.images.Release(container.id()), "container ", container.id(), ": release image");
  RETURN_IF_ERROR(ReleaseImageVolumes(context, container));
  return ContainerLog::Forget(context.db, container.id());
}

absl::Status RemoveContainerFromGuest(PodContext& context, const std::shared_ptr<Container>& container) {
  if (container->phase() == ContainerPhase::kRunning) {
    RETURN_IF_ERROR(StopContainerInGuest(container, absl::ZeroDuration()));
  }
  ASSIGN_OR_RETURN(Turn turn, container->turns().Take(absl::InfiniteFuture(), "container " + container->id()));
  if (container->phase() == ContainerPhase::kRunning) {  // a start was under way
    RETURN_IF_ERROR(StopContainerInGuest(container, absl::ZeroDuration()));
  }
  if (container->phase() != ContainerPhase::kRemoving) {
    RETURN_IF_ERROR(container->TransitionTo(ContainerPhase::kRemoving));
  }
  RETURN_IF_ERROR(ReleaseContainer(context, *container));
  TellRemoved(context, *container);
  RETURN_IF_ERROR(context.store.DeleteContainer(container->id()));
  context.containers.Erase(container->id());
  spdlog::info("container {}: removed", container->id());
  if (container->sandbox()->phase() == SandboxPhase::kReady) {
    // Not worth failing the removal for: the next change tries again.
    if (absl::Status fitted = FitVm(context, *container->sandbox(), Fit::kExactly); !fitted.ok())
      spdlog::warn("sandbox {}: the VM keeps its size: {}", container->sandbox()->id(), fitted.ToString());
  }
  context.Changed(*container);
  return absl::OkStatus();
}

}  // namespace podvisor
