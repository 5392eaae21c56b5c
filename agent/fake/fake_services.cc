#include "agent/fake/fake_services.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "third_party/wire/health.pb.h"

namespace podvisor {
namespace {

using Reply = std::function<void(absl::StatusOr<std::string>)>;
using Call = std::function<void(FakeGuest&, const std::string& payload, const Reply&)>;
using Methods = std::map<absl::string_view, Call>;

template <typename Request>
bool Parse(const std::string& payload, Request* request, const Reply& reply) {
  if (request->ParseFromString(payload)) return true;
  reply(absl::InvalidArgumentError("malformed request"));
  return false;
}

template <typename Response>
void Send(const Reply& reply, absl::StatusOr<Response> response) {
  if (!response.ok()) return reply(response.status());
  reply(response->SerializeAsString());
}

// Methods that answer google.protobuf.Empty, whose encoding is no bytes.
template <typename Request>
Call Method(absl::Status (FakeGuest::*function)(const Request&)) {
  return [function](FakeGuest& guest, const std::string& payload, const Reply& reply) {
    Request request;
    if (!Parse(payload, &request, reply)) return;
    absl::Status status = (guest.*function)(request);
    reply(status.ok() ? absl::StatusOr<std::string>("") : status);
  };
}

template <typename Request, typename Response>
Call Method(absl::StatusOr<Response> (FakeGuest::*function)(const Request&)) {
  return [function](FakeGuest& guest, const std::string& payload, const Reply& reply) {
    Request request;
    if (Parse(payload, &request, reply)) Send(reply, (guest.*function)(request));
  };
}

// Methods that answer later.
template <typename Request, typename Response>
Call Method(void (FakeGuest::*function)(const Request&, std::function<void(absl::StatusOr<Response>)>)) {
  return [function](FakeGuest& guest, const std::string& payload, const Reply& reply) {
    Request request;
    if (!Parse(payload, &request, reply)) return;
    (guest.*function)(request, [reply](absl::StatusOr<Response> response) { Send(reply, std::move(response)); });
  };
}

const Methods& AgentMethods() {
  static const auto& methods = *new Methods{
      {"CreateSandbox", Method(&FakeGuest::CreateSandbox)},
      {"DestroySandbox", Method(&FakeGuest::DestroySandbox)},
      {"CreateContainer", Method(&FakeGuest::CreateContainer)},
      {"StartContainer", Method(&FakeGuest::StartContainer)},
      {"RemoveContainer", Method(&FakeGuest::RemoveContainer)},
      {"PauseContainer", Method(&FakeGuest::PauseContainer)},
      {"ResumeContainer", Method(&FakeGuest::ResumeContainer)},
      {"UpdateContainer", Method(&FakeGuest::UpdateContainer)},
      {"StatsContainer", Method(&FakeGuest::StatsContainer)},
      {"ExecProcess", Method(&FakeGuest::ExecProcess)},
      {"SignalProcess", Method(&FakeGuest::SignalProcess)},
      {"WaitProcess", Method(&FakeGuest::WaitProcess)},
      {"WriteStdin", Method(&FakeGuest::WriteStdin)},
      {"ReadStdout", Method(&FakeGuest::ReadStdout)},
      {"ReadStderr", Method(&FakeGuest::ReadStderr)},
      {"CloseStdin", Method(&FakeGuest::CloseStdin)},
      {"TtyWinResize", Method(&FakeGuest::TtyWinResize)},
      {"UpdateInterface", Method(&FakeGuest::UpdateInterface)},
      {"UpdateRoutes", Method(&FakeGuest::UpdateRoutes)},
      {"ListInterfaces", Method(&FakeGuest::ListInterfaces)},
      {"ListRoutes", Method(&FakeGuest::ListRoutes)},
      {"AddARPNeighbors", Method(&FakeGuest::AddARPNeighbors)},
      {"OnlineCPUMem", Method(&FakeGuest::OnlineCPUMem)},
      {"ReseedRandomDev", Method(&FakeGuest::ReseedRandomDev)},
      {"SetGuestDateTime", Method(&FakeGuest::SetGuestDateTime)},
      {"CopyFile", Method(&FakeGuest::CopyFile)},
      {"GetGuestDetails", Method(&FakeGuest::GetGuestDetails)},
      {"GetMetrics", Method(&FakeGuest::GetMetrics)},
      {"GetOOMEvent", Method(&FakeGuest::GetOOMEvent)},
  };
  return methods;
}

const Methods& ExtensionMethods() {
  static const auto& methods = *new Methods{
      {"Hello", Method(&FakeGuest::Hello)},
      {"ReadOutput", Method(&FakeGuest::ReadOutput)},
      {"WaitExit", Method(&FakeGuest::WaitExit)},
      {"RunExec", Method(&FakeGuest::RunExec)},
      {"ReleaseExec", Method(&FakeGuest::ReleaseExec)},
      {"ListProcesses", Method(&FakeGuest::ListProcesses)},
      {"ConfigureSandbox", Method(&FakeGuest::ConfigureSandbox)},
      {"DialPort", Method(&FakeGuest::DialPort)},
      {"ReadPort", Method(&FakeGuest::ReadPort)},
      {"WritePort", Method(&FakeGuest::WritePort)},
      {"ClosePort", Method(&FakeGuest::ClosePort)},
      {"GetStats", Method(&FakeGuest::GetStats)},
      {"SetCgroupFiles", Method(&FakeGuest::SetCgroupFiles)},
  };
  return methods;
}

const Methods& HealthMethods() {
  static const auto& methods = *new Methods{
      {"Check",
       [](FakeGuest&, const std::string&, const Reply& reply) {
         grpc::HealthCheckResponse response;
         response.set_status(grpc::HealthCheckResponse::SERVING);
         reply(response.SerializeAsString());
       }},
      {"Version",
       [](FakeGuest&, const std::string&, const Reply& reply) {
         grpc::VersionCheckResponse response;
         response.set_grpc_version("0.0.1");
         response.set_agent_version("fake");
         reply(response.SerializeAsString());
       }},
  };
  return methods;
}

}  // namespace

void ServeCall(FakeGuest& guest, absl::string_view service, absl::string_view method, const std::string& payload,
               std::function<void(absl::StatusOr<std::string>)> reply) {
  static const auto& services = *new std::map<absl::string_view, const Methods*>{
      {"grpc.AgentService", &AgentMethods()},
      {"grpc.Health", &HealthMethods()},
      {"podvisor.agent.v1.Extension", &ExtensionMethods()},
  };
  if (auto it = services.find(service); it != services.end()) {
    if (auto call = it->second->find(method); call != it->second->end()) return call->second(guest, payload, reply);
  }
  reply(absl::UnimplementedError(absl::StrCat("/", service, "/", method, " is not supported")));
}

}  // namespace podvisor
