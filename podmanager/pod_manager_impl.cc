#include "podmanager/pod_manager_impl.h"

#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/paths.h"
#include "podmanager/recovery.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/tell_hooks.h"
#include "podmanager/validate.h"

namespace podvisor {

namespace {

using google::protobuf::util::MessageDifferencer;

std::string NodeHostname() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

absl::Status NameTaken(const std::string& kind, const std::string& name, const std::string& id,
                       const std::string& why) {
  return absl::AlreadyExistsError(absl::StrCat(kind, " name ", name, " is in use by ", kind, " ", id, ", ", why,
                                               ": remove that one, or use another attempt"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PodManagerImpl>> PodManagerImpl::Create(PodManagerOptions options,
                                                                       PodManagerParts parts) {
  if (options.handlers.count("") == 0) return absl::InvalidArgumentError("no default runtime handler is configured");
  if (options.node_hostname.empty()) options.node_hostname = NodeHostname();
  const std::string sandboxes = SandboxesDir(options.run_dir);
  std::error_code error;
  std::filesystem::create_directories(sandboxes, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("make ", sandboxes));
  std::unique_ptr<PodManagerImpl> manager(new PodManagerImpl(std::move(options), parts));
  RETURN_IF_ERROR(Recover(manager->context_), "recover pods");
  return manager;
}

PodManagerImpl::~PodManagerImpl() {
  draining_ = true;
  context_.stopping = true;
  context_.store.Freeze();
  context_.factories.Close(PoolFactory::Waiting::kStay);
  LetGoOfGuests();
  context_.tasks.Wait(absl::InfiniteFuture());
  LetGoOfGuests();  // of those that a task has got since
}

void PodManagerImpl::LetGoOfGuests() {
  for (const std::shared_ptr<Container>& container : context_.containers.All()) {
    container->Interrupt();
    StopWatching(*container);
  }
  for (const std::shared_ptr<Sandbox>& sandbox : context_.sandboxes.All()) {
    const Sandbox::Guest guest = sandbox->guest();
    if (guest.vm != nullptr) guest.vm->WatchExit(nullptr);
    if (guest.agent != nullptr) guest.agent->Close();
  }
}

void PodManagerImpl::StartFactories() { context_.factories.Start(std::exchange(context_.left_pool_vms, {})); }

void PodManagerImpl::Drain(absl::Time deadline) {
  draining_ = true;
  context_.factories.Close(PoolFactory::Waiting::kEnd);
  if (!context_.tasks.Wait(deadline)) spdlog::warn("shutting down in the middle of operations on pods");
  context_.factories.RemoveCgroup();
}

absl::Status PodManagerImpl::CheckAccepting() const {
  return draining_ ? absl::UnavailableError("podvisord is shutting down") : absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Sandbox>> PodManagerImpl::FindSandbox(const std::string& id) {
  ASSIGN_OR_RETURN(std::shared_ptr<Sandbox> sandbox, context_.sandboxes.Find(id));
  if (sandbox->phase() == SandboxPhase::kCreating)
    return absl::NotFoundError(absl::StrCat("sandbox ", id, " not found"));
  return sandbox;
}

absl::StatusOr<std::shared_ptr<Container>> PodManagerImpl::FindContainer(const std::string& id) {
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, context_.containers.Find(id));
  if (container->phase() == ContainerPhase::kCreating) {
    return absl::NotFoundError(absl::StrCat("container ", id, " not found"));
  }
  return container;
}

absl::StatusOr<std::shared_ptr<Container>> PodManagerImpl::FindRunningContainer(const std::string& id,
                                                                                absl::string_view what) {
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindContainer(id));
  if (container->phase() == ContainerPhase::kRunning) return container;
  return absl::FailedPreconditionError(absl::StrCat("container ", container->id(), " is ", Name(container->phase()),
                                                    ": ", what, " needs a running one"));
}

absl::Status PodManagerImpl::RuntimeReady() {
  RETURN_IF_ERROR(CheckAccepting());
  const RuntimeHandler& handler = context_.options.handlers.at("");
  for (const std::string& path : {handler.kernel_path, handler.initrd_path}) {
    if (!path.empty() && ::access(path.c_str(), R_OK) != 0) {
      return absl::FailedPreconditionError(absl::StrCat("guest file ", path, " can't be read: no VM can start"));
    }
  }
  return absl::OkStatus();
}

absl::Status PodManagerImpl::NetworkReady() { return context_.network.Ready(); }

std::vector<RuntimeHandlerInfo> PodManagerImpl::Handlers() {
  std::vector<RuntimeHandlerInfo> infos;
  for (const auto& [name, handler] : context_.options.handlers) {
    // The guest's own agent makes user namespaces; one with another agent says so at RunPodSandbox.
    infos.push_back({.name = name,
                     .recursive_read_only_mounts = handler.hypervisor->capabilities().shared_folder,
                     .user_namespaces = true});
  }
  return infos;
}

void PodManagerImpl::UpdatePodCidr(const std::string& cidr) { context_.network.SetPodCidr(cidr); }

absl::StatusOr<std::string> PodManagerImpl::RunPodSandbox(const SandboxConfig& config,
                                                          const std::string& runtime_handler, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  RETURN_IF_ERROR(ValidateSandboxConfig(config), "sandbox ", config.metadata().name());
  auto handler = context_.options.handlers.find(runtime_handler);
  if (handler == context_.options.handlers.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("runtime_handler \"", runtime_handler, "\" is not in podvisord's configuration"));
  }
  while (true) {
    const std::shared_ptr<Sandbox> sandbox = ReserveSandbox(context_, config, handler->second);
    const auto taken = [&](const std::string& why) {
      return NameTaken("sandbox", SandboxName(config), sandbox->id(), why);
    };
    if (sandbox->handler_name() != runtime_handler || !MessageDifferencer::Equals(sandbox->config(), config)) {
      return taken("which has another configuration");
    }
    absl::Status status = sandbox->created().Await(deadline, absl::StrCat("start of sandbox ", sandbox->id()));
    if (absl::IsAborted(status)) continue;  // what a killed daemon had half made is gone now
    const SandboxPhase phase = sandbox->phase();
    if (status.ok() && phase != SandboxPhase::kReady) return taken(absl::StrCat("which is ", Name(phase)));
    RETURN_IF_ERROR(status);
    return sandbox->id();
  }
}

absl::Status PodManagerImpl::StopPodSandbox(const std::string& id, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  absl::StatusOr<std::shared_ptr<Sandbox>> sandbox = FindSandbox(id);
  if (absl::IsNotFound(sandbox.status())) return absl::OkStatus();
  RETURN_IF_ERROR(sandbox.status());
  return context_.tasks.Perform(deadline, absl::StrCat("stop of sandbox ", (*sandbox)->id()),
                                [this, sandbox = *sandbox] { return StopSandbox(context_, sandbox); });
}

absl::Status PodManagerImpl::RemovePodSandbox(const std::string& id, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  absl::StatusOr<std::shared_ptr<Sandbox>> sandbox = FindSandbox(id);
  if (absl::IsNotFound(sandbox.status())) return absl::OkStatus();
  RETURN_IF_ERROR(sandbox.status());
  return context_.tasks.Perform(deadline, absl::StrCat("removal of sandbox ", (*sandbox)->id()),
                                [this, sandbox = *sandbox] { return RemoveSandbox(context_, sandbox); });
}

absl::StatusOr<std::string> PodManagerImpl::CreateContainer(const std::string& sandbox_id,
                                                            const ContainerConfig& config, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  RETURN_IF_ERROR(ValidateContainerConfig(config), "container ", config.metadata().name());
  ASSIGN_OR_RETURN(std::shared_ptr<Sandbox> sandbox, FindSandbox(sandbox_id));
  RETURN_IF_ERROR(ReadyGuest(*sandbox).status(), "container ", config.metadata().name());
  while (true) {
    const std::shared_ptr<Container> container = ReserveContainer(context_, sandbox, config);
    const auto taken = [&](const std::string& why) {
      return NameTaken("container", config.metadata().name(), container->id(), why);
    };
    if (!MessageDifferencer::Equals(container->config(), config)) return taken("which has another configuration");
    absl::Status status = container->created().Await(deadline, absl::StrCat("creation of container ", container->id()));
    if (absl::IsAborted(status)) continue;  // as in RunPodSandbox()
    const ContainerPhase phase = container->phase();
    if (status.ok() && phase != ContainerPhase::kCreated) return taken(absl::StrCat("which is ", Name(phase)));
    RETURN_IF_ERROR(status);
    return container->id();
  }
}

absl::Status PodManagerImpl::StartContainer(const std::string& id, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindContainer(id));
  return context_.tasks.Perform(deadline, absl::StrCat("start of container ", container->id()),
                                [this, container] { return StartContainerInGuest(context_, container); });
}

absl::Status PodManagerImpl::StopContainer(const std::string& id, absl::Duration grace, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  absl::StatusOr<std::shared_ptr<Container>> container = FindContainer(id);
  if (absl::IsNotFound(container.status())) return absl::OkStatus();
  RETURN_IF_ERROR(container.status());
  return context_.tasks.Perform(deadline, absl::StrCat("stop of container ", (*container)->id()),
                                [container = *container, grace] { return StopContainerInGuest(container, grace); });
}

absl::Status PodManagerImpl::RemoveContainer(const std::string& id, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  absl::StatusOr<std::shared_ptr<Container>> container = FindContainer(id);
  if (absl::IsNotFound(container.status())) return absl::OkStatus();
  RETURN_IF_ERROR(container.status());
  return context_.tasks.Perform(
      deadline, absl::StrCat("removal of container ", (*container)->id()),
      [this, container = *container] { return RemoveContainerFromGuest(context_, container); });
}

absl::Status PodManagerImpl::UpdateContainerResources(const std::string& id, const Resources& resources,
                                                      absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindContainer(id));
  return context_.tasks.Perform(
      deadline, absl::StrCat("update of container ", container->id()),
      [this, container, resources] { return UpdateContainerInGuest(context_, container, resources); });
}

absl::Status PodManagerImpl::UpdateSandboxResources(const std::string& id, const Resources& overhead,
                                                    const Resources& resources, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(std::shared_ptr<Sandbox> sandbox, FindSandbox(id));
  return context_.tasks.Perform(
      deadline, absl::StrCat("update of sandbox ", sandbox->id()),
      [this, sandbox, overhead, resources] { return UpdateSandbox(context_, sandbox, overhead, resources); });
}

absl::Status PodManagerImpl::UpdateForHook(const std::string& id, const Resources& resources, absl::Time deadline) {
  RETURN_IF_ERROR(CheckAccepting());
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindContainer(id));
  return context_.tasks.Perform(
      deadline, absl::StrCat("update of container ", container->id()),
      [this, container, resources] { return UpdateContainerInGuest(context_, container, resources, Asker::kHook); });
}

PodManagerImpl::HookSnapshot PodManagerImpl::SnapshotForHooks() {
  HookSnapshot snapshot;
  for (const std::shared_ptr<Sandbox>& sandbox : context_.sandboxes.All()) {
    if (sandbox->phase() != SandboxPhase::kCreating) snapshot.pods.push_back(ViewOf(*sandbox));
  }
  for (const std::shared_ptr<Container>& container : context_.containers.All()) {
    if (container->phase() != ContainerPhase::kCreating) snapshot.containers.push_back(ViewOf(*container));
  }
  return snapshot;
}

}  // namespace podvisor
