#include "agent/guest/agent.h"
#include "agent/guest/entropy.h"
#include "agent/guest/guest_clock.h"
#include "agent/guest/network/network.h"
#include "agent/guest/services/names.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;

absl::Status ConfigureGuest(Agent& agent, const v1::ConfigureSandboxRequest& request) {
  // Randomness first: what follows uses some.
  if (!request.entropy().empty()) RETURN_IF_ERROR(AddEntropy(request.entropy()));
  if (request.unix_time_ns() != 0) {
    RETURN_IF_ERROR(SetClock(request.unix_time_ns() / 1'000'000'000, request.unix_time_ns() % 1'000'000'000));
  }
  RETURN_IF_ERROR(agent.namespaces.Enter(FromOci(request.uid_mappings(), request.gid_mappings())));
  RETURN_IF_ERROR(agent.namespaces.TakeInterfaces(request.interfaces()));
  // The host's first call comes while the network is still being made.
  if (request.interfaces_size() + request.routes_size() + request.neighbors_size() > 0) {
    ASSIGN_OR_RETURN(Network network, Network::Open(agent.network_originals));
    RETURN_IF_ERROR(network.Configure({request.interfaces().begin(), request.interfaces().end()},
                                      {request.routes().begin(), request.routes().end()},
                                      {request.neighbors().begin(), request.neighbors().end()}));
  }
  for (const auto& [name, value] : request.sysctls())
    RETURN_IF_ERROR(agent.sysctls.Set(name, value, agent.namespaces.users().root_uid));
  return absl::OkStatus();
}

void Configure(Agent& agent, const v1::ConfigureSandboxRequest& request, CallPtr call) {
  // Not with another sandbox's interfaces and clock: what is somebody's stays.
  if (const absl::Status status = agent.sandbox.CheckId(request.sandbox().sandbox_id()); !status.ok()) {
    return call->Fail(status);
  }
  if (const absl::Status status = ConfigureGuest(agent, request); !status.ok()) return call->Fail(status);
  SandboxFiles files;
  if (request.shm_bytes() != 0) files.shm_bytes = request.shm_bytes();
  files.hosts.assign(request.hosts().begin(), request.hosts().end());
  agent.sandbox.Create(request.sandbox(), files, [call](const absl::Status& status) { call->Finish(status); });
}

void SayHello(const Agent& agent, Call& call) {
  v1::HelloResponse response;
  response.set_agent_version(kAgentVersion);
  response.set_boot_id(agent.sandbox.identity().boot_id());
  for (const std::string& method : agent.dispatcher.Methods(kExtensionService)) response.add_features(method);
  call.Reply(response);
}

}  // namespace

void AddExtensionService(Agent& agent) {
  Dispatcher& dispatcher = agent.dispatcher;
  Containers& containers = agent.containers;
  dispatcher.On<v1::HelloRequest>(kExtensionService, "Hello", [&agent](const v1::HelloRequest& request, CallPtr call) {
    if (!request.wait_settled()) return SayHello(agent, *call);
    agent.WhenSettled([&agent, call] { SayHello(agent, *call); });
  });
  dispatcher.On<v1::ReadOutputRequest>(
      kExtensionService, "ReadOutput", [&containers](const v1::ReadOutputRequest& request, CallPtr call) {
        const auto process = containers.FindProcess(request.container_id(), request.exec_id());
        if (!process.ok()) return call->Fail(process.status());
        (*process)->output(request.stream()).ReadOutput(request, std::move(call));
      });
  dispatcher.On<v1::RunExecRequest>(
      kExtensionService, "RunExec",
      [&containers](const v1::RunExecRequest& request, CallPtr call) { containers.RunExec(request, std::move(call)); });
  dispatcher.On<v1::WaitExitRequest>(
      kExtensionService, "WaitExit", [&containers](const v1::WaitExitRequest& request, CallPtr call) {
        const auto process = containers.FindProcess(request.container_id(), request.exec_id());
        if (!process.ok()) return call->Fail(process.status());
        (*process)->WaitExit(request.wait_ms(), std::move(call));
      });
  dispatcher.OnSync<v1::ReleaseExecRequest, v1::Empty>(
      kExtensionService, "ReleaseExec", [&containers](const v1::ReleaseExecRequest& request, v1::Empty*) {
        return containers.ReleaseExec(request.container_id(), request.exec_id());
      });
  dispatcher.OnSync<v1::ListProcessesRequest, v1::ListProcessesResponse>(
      kExtensionService, "ListProcesses",
      [&containers](const v1::ListProcessesRequest&, v1::ListProcessesResponse* response) {
        for (v1::ProcessState& state : containers.List()) *response->add_processes() = std::move(state);
        return absl::OkStatus();
      });
  dispatcher.On<v1::ConfigureSandboxRequest>(kExtensionService, "ConfigureSandbox",
                                             [&agent](const v1::ConfigureSandboxRequest& request, CallPtr call) {
                                               Configure(agent, request, std::move(call));
                                             });
}

}  // namespace podvisor::guest
