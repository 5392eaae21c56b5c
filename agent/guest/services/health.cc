#include "agent/guest/agent.h"
#include "third_party/wire/health.pb.h"

namespace podvisor::guest {

void AddHealthService(Agent& agent) {
  constexpr absl::string_view kService = "grpc.Health";
  agent.dispatcher.OnSync<grpc::CheckRequest, grpc::HealthCheckResponse>(
      kService, "Check", [](const grpc::CheckRequest&, grpc::HealthCheckResponse* response) {
        response->set_status(grpc::HealthCheckResponse::SERVING);
        return absl::OkStatus();
      });
  agent.dispatcher.OnSync<grpc::CheckRequest, grpc::VersionCheckResponse>(
      kService, "Version", [](const grpc::CheckRequest&, grpc::VersionCheckResponse* response) {
        response->set_grpc_version(kProtocolVersion);
        response->set_agent_version(kAgentVersion);
        return absl::OkStatus();
      });
}

}  // namespace podvisor::guest
