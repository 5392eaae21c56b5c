#include "agent/guest/agent.h"
#include "agent/guest/services/names.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::Empty;

constexpr uint32_t kMaxSignal = 64;

absl::Status Signal(Containers& containers, const grpc::SignalProcessRequest& request) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Process> process,
                   containers.FindProcess(request.container_id(), request.exec_id()));
  if (request.signal() > kMaxSignal) {
    return absl::InvalidArgumentError(absl::StrCat("signal ", request.signal(), " does not exist"));
  }
  return process->Signal(static_cast<int>(request.signal()));
}

absl::Status Update(Containers& containers, const grpc::UpdateContainerRequest& request) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, containers.Find(request.container_id()));
  if (container->cgroup == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container->id, " has no cgroup to limit it"));
  }
  RETURN_IF_ERROR(container->cgroup->Apply(request.resources()), "container ", container->id);
  return absl::OkStatus();
}

}  // namespace

void AddContainerCalls(Agent& agent) {
  Containers& containers = agent.containers;
  Dispatcher& dispatcher = agent.dispatcher;
  dispatcher.On<grpc::CreateContainerRequest>(kAgentService, "CreateContainer",
                                              [&containers](const grpc::CreateContainerRequest& request, CallPtr call) {
                                                containers.Create(request, std::move(call));
                                              });
  dispatcher.On<grpc::StartContainerRequest>(kAgentService, "StartContainer",
                                             [&containers](const grpc::StartContainerRequest& request, CallPtr call) {
                                               containers.Start(request.container_id(), std::move(call));
                                             });
  dispatcher.On<grpc::RemoveContainerRequest>(kAgentService, "RemoveContainer",
                                              [&containers](const grpc::RemoveContainerRequest& request, CallPtr call) {
                                                containers.Remove(request.container_id(), std::move(call));
                                              });
  dispatcher.On<grpc::PauseContainerRequest>(kAgentService, "PauseContainer",
                                             [&containers](const grpc::PauseContainerRequest& request, CallPtr call) {
                                               containers.Pause(request.container_id(), std::move(call));
                                             });
  dispatcher.OnSync<grpc::ResumeContainerRequest, Empty>(
      kAgentService, "ResumeContainer", [&containers](const grpc::ResumeContainerRequest& request, Empty*) {
        return containers.Resume(request.container_id());
      });
  dispatcher.On<grpc::ExecProcessRequest>(kAgentService, "ExecProcess",
                                          [&containers](const grpc::ExecProcessRequest& request, CallPtr call) {
                                            containers.Exec(request, std::move(call));
                                          });
  dispatcher.On<grpc::WaitProcessRequest>(kAgentService, "WaitProcess",
                                          [&containers](const grpc::WaitProcessRequest& request, CallPtr call) {
                                            containers.WaitProcess(request, std::move(call));
                                          });
  dispatcher.OnSync<grpc::SignalProcessRequest, Empty>(
      kAgentService, "SignalProcess",
      [&containers](const grpc::SignalProcessRequest& request, Empty*) { return Signal(containers, request); });
  dispatcher.OnSync<grpc::UpdateContainerRequest, Empty>(
      kAgentService, "UpdateContainer",
      [&containers](const grpc::UpdateContainerRequest& request, Empty*) { return Update(containers, request); });
}

}  // namespace podvisor::guest
