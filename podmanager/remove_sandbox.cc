// RemovePodSandbox.
#include <spdlog/spdlog.h>

#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/tell_hooks.h"

namespace podvisor {

absl::Status RemoveSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  ASSIGN_OR_RETURN(Turn turn, sandbox->turns().Take(absl::InfiniteFuture(), "sandbox " + sandbox->id()));
  RETURN_IF_ERROR(StopSandboxInTurn(context, sandbox));
  if (sandbox->phase() != SandboxPhase::kRemoving) RETURN_IF_ERROR(sandbox->TransitionTo(SandboxPhase::kRemoving));
  for (const std::shared_ptr<Container>& container : ContainersOf(context, sandbox->id())) {
    RETURN_IF_ERROR(RemoveContainerFromGuest(context, container), "sandbox ", sandbox->id());
  }
  TellRemoved(context, *sandbox);
  RETURN_IF_ERROR(context.store.DeleteSandbox(sandbox->id()));
  context.sandboxes.Erase(sandbox->id());
  spdlog::info("sandbox {}: removed", sandbox->id());
  context.Changed(*sandbox);
  return absl::OkStatus();
}

}  // namespace podvisor
