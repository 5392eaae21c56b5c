#include "agent/guest/agent.h"
#include "agent/guest/network/network.h"
#include "agent/guest/services/names.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::Empty;

absl::Status UpdateInterface(Agent& agent, const grpc::UpdateInterfaceRequest& request, types::Interface* response) {
  if (!request.has_interface()) return absl::InvalidArgumentError("the request has no interface");
  ASSIGN_OR_RETURN(Network network, Network::Open(agent.network_originals));
  RETURN_IF_ERROR(network.UpdateInterface(request.interface()));
  *response = request.interface();
  return absl::OkStatus();
}

absl::Status UpdateRoutes(Agent& agent, const grpc::UpdateRoutesRequest& request, grpc::Routes* response) {
  ASSIGN_OR_RETURN(Network network, Network::Open(agent.network_originals));
  RETURN_IF_ERROR(network.UpdateRoutes({request.routes().routes().begin(), request.routes().routes().end()}));
  ASSIGN_OR_RETURN(*response, network.ListRoutes());
  return absl::OkStatus();
}

absl::Status AddNeighbors(Agent& agent, const grpc::AddARPNeighborsRequest& request) {
  ASSIGN_OR_RETURN(Network network, Network::Open(agent.network_originals));
  for (const types::ARPNeighbor& neighbor : request.neighbors().arpneighbors()) {
    RETURN_IF_ERROR(network.AddNeighbor(neighbor));
  }
  return absl::OkStatus();
}

}  // namespace

void AddNetworkCalls(Agent& agent) {
  Dispatcher& dispatcher = agent.dispatcher;
  dispatcher.OnSync<grpc::UpdateInterfaceRequest, types::Interface>(
      kAgentService, "UpdateInterface",
      [&agent](const grpc::UpdateInterfaceRequest& request, types::Interface* response) {
        return UpdateInterface(agent, request, response);
      });
  dispatcher.OnSync<grpc::UpdateRoutesRequest, grpc::Routes>(
      kAgentService, "UpdateRoutes", [&agent](const grpc::UpdateRoutesRequest& request, grpc::Routes* response) {
        return UpdateRoutes(agent, request, response);
      });
  dispatcher.OnSync<grpc::AddARPNeighborsRequest, Empty>(
      kAgentService, "AddARPNeighbors",
      [&agent](const grpc::AddARPNeighborsRequest& request, Empty*) { return AddNeighbors(agent, request); });
  dispatcher.OnSync<grpc::ListInterfacesRequest, grpc::Interfaces>(
      kAgentService, "ListInterfaces",
      [&agent](const grpc::ListInterfacesRequest&, grpc::Interfaces* response) -> absl::Status {
        ASSIGN_OR_RETURN(Network network, Network::Open(agent.network_originals));
        ASSIGN_OR_RETURN(*response, network.ListInterfaces());
        return absl::OkStatus();
      });
  dispatcher.OnSync<grpc::ListRoutesRequest, grpc::Routes>(
      kAgentService, "ListRoutes", [&agent](const grpc::ListRoutesRequest&, grpc::Routes* response) -> absl::Status {
        ASSIGN_OR_RETURN(Network network, Network::Open(agent.network_originals));
        ASSIGN_OR_RETURN(*response, network.ListRoutes());
        return absl::OkStatus();
      });
}

}  // namespace podvisor::guest
