// Figures of containers and of the guest, and the cgroup files that no other call reaches.
#include "agent/guest/agent.h"
#include "agent/guest/runtime/process_usage.h"
#include "agent/guest/runtime/usage.h"
#include "agent/guest/services/names.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;

absl::Status Stats(const Containers& containers, const grpc::StatsContainerRequest& request,
                   grpc::StatsContainerResponse* response) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, containers.Find(request.container_id()));
  if (container->cgroup != nullptr) container->cgroup->ReadStats(response->mutable_cgroup_stats());
  google::protobuf::RepeatedPtrField<v1::InterfaceUsage> interfaces;
  ReadInterfaceUsage(&interfaces);
  for (const v1::InterfaceUsage& usage : interfaces) {
    grpc::NetworkStats* stats = response->add_network_stats();
    stats->set_name(usage.name());
    stats->set_rx_bytes(usage.rx_bytes());
    stats->set_rx_packets(usage.rx_packets());
    stats->set_rx_errors(usage.rx_errors());
    stats->set_rx_dropped(usage.rx_dropped());
    stats->set_tx_bytes(usage.tx_bytes());
    stats->set_tx_packets(usage.tx_packets());
    stats->set_tx_errors(usage.tx_errors());
    stats->set_tx_dropped(usage.tx_dropped());
  }
  return absl::OkStatus();
}

void Describe(const Container& container, v1::ContainerUsage* usage) {
  usage->set_container_id(container.id);
  if (container.cgroup != nullptr) {
    ReadCgroupUsage(container.cgroup->path(), usage->mutable_cgroup());
    ReadProcessUsage(container.cgroup->Pids(), usage);
  }
  if (container.process != nullptr && container.process->state() != Process::State::kExited)
    ReadSoftLimits(container.process->pid(), usage);
  if (const std::optional<LayerUsage> layer = container.mounts->Layer()) {
    usage->set_layer_bytes(layer->bytes);
    usage->set_layer_inodes(layer->inodes);
    usage->set_layer_limit_bytes(layer->limit_bytes);
    usage->set_layer_inodes_limit(layer->inodes_limit);
    usage->set_layer_inodes_free(layer->inodes_free);
  }
}

absl::Status GetStats(const Agent& agent, const v1::GetStatsRequest& request, v1::GetStatsResponse* response) {
  response->set_unix_time_ns(UnixNowNs());
  if (request.container_ids().empty()) {
    agent.containers.ForEach(
        [response](const Container& container) { Describe(container, response->add_containers()); });
  }
  for (const std::string& id : request.container_ids()) {
    const absl::StatusOr<std::shared_ptr<Container>> container = agent.containers.Find(id);
    if (container.ok()) Describe(**container, response->add_containers());
  }
  if (agent.cgroup_tree != nullptr) ReadCgroupUsage(agent.cgroup_tree->path(), response->mutable_pod());
  ReadInterfaceUsage(response->mutable_interfaces());
  ReadGuestUsage(response->mutable_guest());
  return absl::OkStatus();
}

absl::Status SetFiles(const Containers& containers, const v1::SetCgroupFilesRequest& request) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, containers.Find(request.container_id()));
  if (container->cgroup == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container->id, " has no cgroup"));
  }
  const std::map<std::string, std::string> files(request.files().begin(), request.files().end());
  for (const auto& [file, value] : files) {
    RETURN_IF_ERROR(container->cgroup->SetFile(file, value), "container ", container->id);
  }
  return absl::OkStatus();
}

}  // namespace

void AddStatsCalls(Agent& agent) {
  Dispatcher& dispatcher = agent.dispatcher;
  dispatcher.OnSync<grpc::StatsContainerRequest, grpc::StatsContainerResponse>(
      kAgentService, "StatsContainer",
      [&agent](const grpc::StatsContainerRequest& request, grpc::StatsContainerResponse* response) {
        return Stats(agent.containers, request, response);
      });
  dispatcher.OnSync<v1::GetStatsRequest, v1::GetStatsResponse>(
      kExtensionService, "GetStats", [&agent](const v1::GetStatsRequest& request, v1::GetStatsResponse* response) {
        return GetStats(agent, request, response);
      });
  dispatcher.OnSync<v1::SetCgroupFilesRequest, v1::Empty>(
      kExtensionService, "SetCgroupFiles",
      [&agent](const v1::SetCgroupFilesRequest& request, v1::Empty*) { return SetFiles(agent.containers, request); });
}

}  // namespace podvisor::guest
