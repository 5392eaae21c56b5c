#include "agent/guest/agent.h"
#include "agent/guest/services/names.h"

namespace podvisor::guest {

void AddSandboxCalls(Agent& agent) {
  agent.dispatcher.On<grpc::CreateSandboxRequest>(
      kAgentService, "CreateSandbox", [&agent](const grpc::CreateSandboxRequest& request, CallPtr call) {
        agent.sandbox.Create(request, SandboxFiles(), [call](const absl::Status& status) { call->Finish(status); });
      });
  agent.dispatcher.On<grpc::DestroySandboxRequest>(
      kAgentService, "DestroySandbox",
      [&agent](const grpc::DestroySandboxRequest&, CallPtr call) { agent.Destroy([call] { call->ReplyEmpty(); }); });
  agent.dispatcher.On<grpc::GetOOMEventRequest>(
      kAgentService, "GetOOMEvent",
      [&agent](const grpc::GetOOMEventRequest&, CallPtr call) { agent.containers.GetOomEvent(std::move(call)); });
}

}  // namespace podvisor::guest
