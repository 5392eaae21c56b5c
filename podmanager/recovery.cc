#include "podmanager/recovery.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/image_volumes.h"
#include "podmanager/orphans.h"
#include "podmanager/sandbox_operations.h"

namespace podvisor {

namespace {

constexpr int kSandboxDiedCode = 255;

// --- sandboxes ---

void LoseSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox, const std::string& reason) {
  sandbox->Observe(SandboxPhase::kReady, SandboxPhase::kFailed,
                   [&](SandboxRecord& record) { record.set_reason(reason); });
  spdlog::error("sandbox {}: not ready after the restart: {}", sandbox->id(), reason);
  for (const std::shared_ptr<Container>& container : ContainersOf(context, sandbox->id())) {
    if (container->phase() == ContainerPhase::kCreating) continue;  // is undone
    MarkContainerGone(context, *container, kSandboxDiedCode, "SandboxDied", reason);
  }
}

// Blocks for the VMM at most, never for the guest.
void AdoptSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  if (sandbox->handler() == nullptr) {
    return LoseSandbox(context, sandbox,
                       absl::StrCat("runtime handler \"", sandbox->handler_name(), "\" is no longer configured"));
  }
  absl::StatusOr<std::unique_ptr<Vm>> adopted = sandbox->handler()->hypervisor->Adopt(sandbox->record().vm_record());
  if (absl::IsNotFound(adopted.status())) {
    return LoseSandbox(context, sandbox, "its VM ended while podvisord was not running");
  }
  if (!adopted.ok()) {
    return LoseSandbox(context, sandbox, absl::StrCat("its VM can't be taken over: ", adopted.status().message()));
  }
  std::shared_ptr<Vm> vm = *std::move(adopted);
  std::shared_ptr<AgentClient> agent =
      AgentClient::Create(context.loop, vm->agent_channel(), context.options.on_agent_call);
  sandbox->set_guest({vm, agent});
  WatchVm(context, sandbox, *vm);
}

// A network plugin that the earlier podvisord had started may still be at work, and in the way of its own DEL.
absl::Status ReleaseWithPatience(PodContext& context, Sandbox& sandbox) {
  absl::Status status = ReleaseSandbox(context, sandbox);
  for (absl::Duration pause = absl::Milliseconds(250); !status.ok() && pause <= absl::Seconds(4); pause *= 2) {
    if (context.stopping) break;
    absl::SleepFor(pause);
    status = ReleaseSandbox(context, sandbox);
  }
  return status;
}

void UndoSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  absl::StatusOr<Turn> turn = sandbox->turns().Take(absl::InfiniteFuture(), "sandbox " + sandbox->id());
  absl::Status status = turn.ok() ? ReleaseWithPatience(context, *sandbox) : turn.status();
  if (status.ok()) status = context.store.DeleteSandbox(sandbox->id());
  if (!status.ok()) {
    spdlog::error("sandbox {}: half made by an earlier podvisord, can't be undone: {}", sandbox->id(),
                  status.ToString());
    sandbox->Observe(SandboxPhase::kCreating, SandboxPhase::kFailed, [&](SandboxRecord& record) {
      record.set_reason(absl::StrCat("half made by an earlier podvisord: ", status.message()));
    });
    context.Changed(*sandbox);
    return sandbox->created().Set(absl::OkStatus());
  }
  spdlog::info("sandbox {}: half made by an earlier podvisord, undone", sandbox->id());
  context.sandboxes.Erase(sandbox->id());
  sandbox->created().Set(absl::AbortedError("undone after a restart of podvisord"));
}

// After all sandboxes that can be have been adopted.
void ResumeSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  const auto finish = [&](const char* what, absl::Status (*operation)(PodContext&, const std::shared_ptr<Sandbox>&)) {
    context.tasks.Run([&context, sandbox, what, operation] {
      if (absl::Status status = operation(context, sandbox); !status.ok()) {
        spdlog::error("sandbox {}: its {} goes on and fails: {}", sandbox->id(), what, status.ToString());
      }
    });
  };
  switch (sandbox->phase()) {
    case SandboxPhase::kCreating:
      context.tasks.Run([&context, sandbox] { UndoSandbox(context, sandbox); });
      return;
    case SandboxPhase::kStopping:
      finish("stop", StopSandbox);
      break;
    case SandboxPhase::kRemoving:
      finish("removal", RemoveSandbox);
      break;
    case SandboxPhase::kReady:
    case SandboxPhase::kFailed:
    case SandboxPhase::kStopped:
      break;
  }
  sandbox->created().Set(absl::OkStatus());
}

// --- containers ---

void UndoContainer(PodContext& context, const std::shared_ptr<Container>& container) {
  absl::StatusOr<Turn> turn = container->turns().Take(absl::InfiniteFuture(), "container " + container->id());
  absl::Status status = turn.ok() ? ReleaseContainer(context, *container) : turn.status();
  if (status.ok()) status = context.store.DeleteContainer(container->id());
  if (!status.ok()) {
    spdlog::error("container {}: half made by an earlier podvisord, can't be undone: {}", container->id(),
                  status.ToString());
    container->Observe(ContainerPhase::kRemoving, [&](ContainerRecord& record) {
      record.set_reason("CreateError");
      record.set_message(std::string(status.message()));
    });
    context.Changed(*container);
    return container->created().Set(absl::OkStatus());
  }
  spdlog::info("container {}: half made by an earlier podvisord, undone", container->id());
  context.containers.Erase(container->id());
  container->created().Set(absl::AbortedError("undone after a restart of podvisord"));
}

// Whether the process, if there ever was one, ended with the sandbox; its end was not written down.
bool DiedWithSandbox(const Container& container) {
  const SandboxPhase sandbox = container.sandbox()->phase();
  if (sandbox != SandboxPhase::kFailed && sandbox != SandboxPhase::kStopped) return false;
  const ContainerPhase phase = container.phase();
  return phase == ContainerPhase::kCreated || phase == ContainerPhase::kStarting || phase == ContainerPhase::kRunning;
}

void ResumeContainer(PodContext& context, const std::shared_ptr<Container>& container) {
  if (DiedWithSandbox(*container)) {
    MarkContainerGone(context, *container, kSandboxDiedCode, "SandboxDied", container->sandbox()->record().reason());
  }
  switch (container->phase()) {
    case ContainerPhase::kCreating:
      context.tasks.Run([&context, container] { UndoContainer(context, container); });
      return;
    case ContainerPhase::kStarting:
      context.tasks.Run([&context, container] { ResolveStart(context, container); });
      break;
    case ContainerPhase::kRunning:
      if (container->sandbox()->phase() != SandboxPhase::kReady) break;  // ends with its sandbox's stop
      if (absl::Status status = WatchContainer(context, container, LogFailure::kIsLogged); !status.ok()) {
        spdlog::error("container {}: can't be followed any more: {}", container->id(), status.ToString());
      } else {
        container->watchers().exit->Arm();
      }
      break;
    case ContainerPhase::kRemoving:
      context.tasks.Run([&context, container] {
        if (absl::Status status = RemoveContainerFromGuest(context, container); !status.ok()) {
          spdlog::error("container {}: its removal goes on and fails: {}", container->id(), status.ToString());
        }
      });
      break;
    case ContainerPhase::kCreated:
    case ContainerPhase::kExited:
      break;
  }
  container->created().Set(absl::OkStatus());
}

// --- all ---

using Sandboxes = std::vector<std::shared_ptr<Sandbox>>;
using Containers = std::vector<std::shared_ptr<Container>>;

Sandboxes ListSandboxes(PodContext& context, std::vector<SandboxRecord> records) {
  Sandboxes sandboxes;
  for (SandboxRecord& record : records) {
    context.timestamps.NotBefore(absl::FromUnixNanos(record.created_at_ns()));
    const auto handler = context.options.handlers.find(record.runtime_handler());
    const RuntimeHandler* known = handler == context.options.handlers.end() ? nullptr : &handler->second;
    auto sandbox = std::make_shared<Sandbox>(std::move(record), known, context.store);
    const std::string name = SandboxName(sandbox->config());
    if (context.sandboxes.InsertOrFindHolder(name, sandbox) != nullptr) {
      context.sandboxes.InsertOrFindHolder(absl::StrCat(name, " ", sandbox->id()), sandbox);
    }
    sandboxes.push_back(std::move(sandbox));
  }
  return sandboxes;
}

Containers ListContainers(PodContext& context, const Sandboxes& sandboxes, std::vector<ContainerRecord> records) {
  absl::flat_hash_map<std::string, std::shared_ptr<Sandbox>> by_id;
  for (const std::shared_ptr<Sandbox>& sandbox : sandboxes) by_id[sandbox->id()] = sandbox;
  Containers containers;
  for (ContainerRecord& record : records) {
    context.timestamps.NotBefore(absl::FromUnixNanos(std::max(record.created_at_ns(), record.finished_at_ns())));
    const auto sandbox = by_id.find(record.sandbox_id());
    if (sandbox == by_id.end()) {  // its lease and its checkpoint are found as orphans
      spdlog::warn("container {}: its sandbox {} is unknown; forgotten", record.id(), record.sandbox_id());
      if (absl::Status status = context.store.DeleteContainer(record.id()); !status.ok()) {
        spdlog::error("container {}: {}", record.id(), status.ToString());
      }
      continue;
    }
    if (!record.disk_path().empty()) {
      sandbox->second->disks().Restore(record.disk_path(), record.disk_id(), record.id());
    }
    RestoreImageVolumes(record, sandbox->second->disks());
    auto container = std::make_shared<Container>(std::move(record), sandbox->second, context.store);
    const std::string name = ContainerName(sandbox->first, container->config());
    if (context.containers.InsertOrFindHolder(name, container) != nullptr) {
      context.containers.InsertOrFindHolder(absl::StrCat(name, " ", container->id()), container);
    }
    containers.push_back(std::move(container));
  }
  return containers;
}

}  // namespace

absl::Status Recover(PodContext& context) {
  ASSIGN_OR_RETURN(RecordStore::Loaded loaded, context.store.Load());
  for (const std::string& row : loaded.unreadable) spdlog::error("record {} is damaged; deleted", row);
  const Sandboxes sandboxes = ListSandboxes(context, std::move(loaded.sandboxes));
  const Containers containers = ListContainers(context, sandboxes, std::move(loaded.containers));
  context.left_pool_vms = std::move(loaded.pool_vms);
  const Orphans orphans = FindOrphans(context);

  std::vector<std::function<absl::Status()>> adoptions;
  for (const std::shared_ptr<Sandbox>& sandbox : sandboxes) {
    if (sandbox->phase() != SandboxPhase::kReady) continue;
    adoptions.push_back([&context, sandbox] {
      AdoptSandbox(context, sandbox);
      return absl::OkStatus();
    });
  }
  RETURN_IF_ERROR(context.tasks.All(std::move(adoptions)));
  for (const std::shared_ptr<Container>& container : containers) ResumeContainer(context, container);
  for (const std::shared_ptr<Sandbox>& sandbox : sandboxes) ResumeSandbox(context, sandbox);
  context.tasks.Run([&context, orphans] { RemoveOrphans(context, orphans); });
  if (!sandboxes.empty()) {
    spdlog::info("recovered {} sandboxes and {} containers", sandboxes.size(), containers.size());
  }
  return absl::OkStatus();
}

}  // namespace podvisor
