// StopPodSandbox, and a VM that ends by itself.
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/tell_hooks.h"

namespace podvisor {

namespace {

// What the agent gets for killing what still runs, so that the last output is read; after that the VM goes anyway.
constexpr absl::Duration kKillBudget = absl::Seconds(5);
// Within which what is being done to containers notices that the guest has gone.
constexpr absl::Duration kDrainBudget = absl::Seconds(60);
constexpr int kKilled = 128 + 9;

void KillContainers(PodContext& context, const std::string& sandbox_id) {
  std::vector<std::function<absl::Status()>> kills;
  for (const std::shared_ptr<Container>& container : ContainersOf(context, sandbox_id)) {
    if (container->phase() != ContainerPhase::kRunning) continue;
    kills.push_back([container] { return StopContainerInGuest(container, absl::ZeroDuration()); });
  }
  if (kills.empty()) return;
  // A guest that does not answer must not hold up the stop: the VM's end is theirs as well.
  auto done = std::make_shared<Outcome>();
  context.tasks.Run(
      [&context, kills = std::move(kills), done]() mutable { done->Set(context.tasks.All(std::move(kills))); });
  if (absl::Status status = done->Await(absl::Now() + kKillBudget, "kill containers"); !status.ok()) {
    spdlog::warn("sandbox {}: not every container was killed before its VM: {}", sandbox_id, status.ToString());
  }
}

// Ends what runs in the guest and what is being done to it: the VM can go.
absl::Status Quiesce(PodContext& context, Sandbox& sandbox, SandboxPhase before) {
  if (before == SandboxPhase::kReady) KillContainers(context, sandbox.id());
  for (const std::shared_ptr<Container>& container : ContainersOf(context, sandbox.id())) {
    if (container->phase() == ContainerPhase::kExited) TellStopped(context, *container);
  }
  TellStopped(context, sandbox);
  // What is being done to containers fails now and undoes itself; only then is what it stands on taken away.
  sandbox.containers().Close();
  if (const auto agent = sandbox.guest().agent) agent->Close();
  if (sandbox.containers().AwaitEmpty(absl::Now() + kDrainBudget)) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("sandbox ", sandbox.id(), ": its containers are still in use"));
}

}  // namespace

absl::Status StopSandboxInTurn(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  const SandboxPhase before = sandbox->phase();
  if (before == SandboxPhase::kStopped || before == SandboxPhase::kRemoving) return absl::OkStatus();
  if (before != SandboxPhase::kStopping) {  // it is when an earlier daemon died in the middle
    RETURN_IF_ERROR(sandbox->TransitionTo(SandboxPhase::kStopping));
    context.Changed(*sandbox);
  }
  // The network needs the longest: what runs is killed meanwhile.
  absl::Status status = ReleaseSandbox(context, *sandbox, [&] { return Quiesce(context, *sandbox, before); });
  for (const std::shared_ptr<Container>& container : ContainersOf(context, sandbox->id())) {
    if (sandbox->guest().vm == nullptr) {
      MarkContainerGone(context, *container, kKilled, "Error", "killed with its sandbox");
    }
  }
  if (!status.ok()) {
    sandbox->Observe(SandboxPhase::kStopping, SandboxPhase::kFailed,
                     [&](SandboxRecord& record) { record.set_reason(absl::StrCat("stop: ", status.message())); });
    context.Changed(*sandbox);
    return status;
  }
  RETURN_IF_ERROR(sandbox->TransitionTo(SandboxPhase::kStopped));
  spdlog::info("sandbox {}: stopped", sandbox->id());
  context.Changed(*sandbox);
  return absl::OkStatus();
}

absl::Status StopSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  ASSIGN_OR_RETURN(Turn turn, sandbox->turns().Take(absl::InfiniteFuture(), "sandbox " + sandbox->id()));
  return StopSandboxInTurn(context, sandbox);
}

void HandleVmExit(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  const Sandbox::Guest guest = sandbox->guest();
  const std::string reason = sandbox->vm_exit_reason();
  if (sandbox->phase() == SandboxPhase::kCreating) {
    if (guest.agent != nullptr) guest.agent->Close();  // ends the wait for it
    return;
  }
  const auto set_reason = [&reason](SandboxRecord& record) { record.set_reason(reason); };
  if (!sandbox->Observe(SandboxPhase::kReady, SandboxPhase::kFailed, set_reason)) return;  // it is being stopped
  spdlog::error("sandbox {}: its VM ended: {}", sandbox->id(), reason);
  sandbox->containers().Close();
  if (guest.agent != nullptr) guest.agent->Close();
  context.Changed(*sandbox);
  for (const std::shared_ptr<Container>& container : ContainersOf(context, sandbox->id())) {
    MarkContainerGone(context, *container, 255, "SandboxDied", reason);
  }
}

void WatchVm(PodContext& context, const std::shared_ptr<Sandbox>& sandbox, Vm& vm) {
  vm.WatchExit([&context, weak = std::weak_ptr<Sandbox>(sandbox)](std::string reason) {
    const std::shared_ptr<Sandbox> dead = weak.lock();
    if (dead == nullptr || context.stopping) return;
    dead->set_vm_exit_reason(reason.empty() ? "the VM ended" : std::move(reason));
    context.tasks.Run([&context, dead] { HandleVmExit(context, dead); });
  });
}

}  // namespace podvisor
