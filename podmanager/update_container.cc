// UpdateContainerResources and UpdatePodSandboxResources.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/container_operations.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/spec/container_spec.h"
#include "podmanager/tell_hooks.h"
#include "podmanager/vm_size.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

// UpdateContainer has no members for them.
absl::Status SetCgroupFiles(AgentClient& agent, const std::string& container_id, const Resources& resources,
                            absl::Duration timeout) {
  if (resources.unified().empty()) return absl::OkStatus();
  agent::v1::SetCgroupFilesRequest request;
  request.set_container_id(container_id);
  *request.mutable_files() = {resources.unified().begin(), resources.unified().end()};
  agent::v1::Empty empty;
  return Annotate(agent.Call(kExtensionService, "SetCgroupFiles", request, &empty, absl::Now() + timeout),
                  "set unified cgroup files");
}

}  // namespace

absl::Status UpdateContainerInGuest(PodContext& context, const std::shared_ptr<Container>& container,
                                    const Resources& resources, Asker asker) {
  ASSIGN_OR_RETURN(Turn turn, container->turns().Take(absl::InfiniteFuture(), "container " + container->id()));
  const ContainerPhase phase = container->phase();
  if (phase != ContainerPhase::kCreated && phase != ContainerPhase::kRunning) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", container->id(), " is ", Name(phase), ": its resources can't be changed"));
  }
  const std::shared_ptr<Sandbox>& sandbox = container->sandbox();
  ASSIGN_OR_RETURN(const Sandbox::Guest guest, ReadyGuest(*sandbox), "container ", container->id());
  Resources update = resources;
  if (asker == Asker::kClient) {
    RETURN_IF_ERROR(TellUpdate(context, *container, &update), "container ", container->id(), ": update resources");
  }
  const Resources merged = MergeResources(container->record().resources(), update);
  ASSIGN_OR_RETURN(grpc::UpdateContainerRequest request, BuildUpdate(container->id(), merged), "container ",
                   container->id());
  RETURN_IF_ERROR(FitVm(context, *sandbox, Fit::kGrow, container->id(), merged), "container ", container->id());
  google::protobuf::Empty empty;
  RETURN_IF_ERROR(guest.agent->Call(kAgentService, "UpdateContainer", request, &empty,
                                    absl::Now() + sandbox->timeouts().agent_call),
                  "container ", container->id(), ": update resources");
  RETURN_IF_ERROR(SetCgroupFiles(*guest.agent, container->id(), merged, sandbox->timeouts().agent_call), "container ",
                  container->id());
  RETURN_IF_ERROR(container->Update([&](ContainerRecord& record) { *record.mutable_resources() = merged; }));
  context.Changed(*container);
  if (asker == Asker::kClient) TellUpdated(context, *container);
  return FitVm(context, *sandbox, Fit::kExactly);
}

absl::Status UpdateSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox, const Resources& overhead,
                           const Resources& resources) {
  ASSIGN_OR_RETURN(Turn turn, sandbox->turns().Take(absl::InfiniteFuture(), "sandbox " + sandbox->id()));
  RETURN_IF_ERROR(ReadyGuest(*sandbox).status());
  RETURN_IF_ERROR(BuildUpdate(sandbox->id(), resources).status());  // what containers may not be given, a pod may not
  const SandboxRecord before = sandbox->record();
  RETURN_IF_ERROR(sandbox->Update([&](SandboxRecord& record) {
    *record.mutable_resources() = MergeResources(record.resources(), resources);
    *record.mutable_overhead() = MergeResources(record.overhead(), overhead);
  }));
  absl::Status fitted = FitVm(context, *sandbox, Fit::kExactly);
  if (!fitted.ok()) {
    RETURN_IF_ERROR(sandbox->Update([&](SandboxRecord& record) {
      *record.mutable_resources() = before.resources();
      *record.mutable_overhead() = before.overhead();
    }));
    return fitted;
  }
  context.Changed(*sandbox);
  return absl::OkStatus();
}

}  // namespace podvisor
