// UpdateContainerResources.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/container_operations.h"
#include "podmanager/spec/container_spec.h"
#include "podmanager/tell_hooks.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

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
  google::protobuf::Empty empty;
  RETURN_IF_ERROR(guest.agent->Call(kAgentService, "UpdateContainer", request, &empty,
                                    absl::Now() + sandbox->timeouts().agent_call),
                  "container ", container->id(), ": update resources");
  RETURN_IF_ERROR(container->Update([&](ContainerRecord& record) { *record.mutable_resources() = merged; }));
  context.Changed(*container);
  if (asker == Asker::kClient) TellUpdated(context, *container);
  return absl::OkStatus();
}

}  // namespace podvisor
