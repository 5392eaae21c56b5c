// What PodManager shows of sandboxes and containers.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/pod_manager_impl.h"
#include "podmanager/show.h"
#include "podmanager/vm_size.h"

namespace podvisor {

namespace {

template <typename Map>
bool HasLabels(const Map& labels, const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&labels](const auto& label) {
    auto it = labels.find(label.first);
    return it != labels.end() && it->second == label.second;
  });
}

std::string SandboxInfo(const Sandbox& sandbox, const SandboxRecord& record) {
  nlohmann::json info = {{"phase", std::string(Name(FromRecord(record.phase())))},
                         {"runtimeHandler", record.runtime_handler()},
                         {"netns", record.netns_path()},
                         {"vcpus", SizeNow(record).vcpus},
                         {"memoryBytes", SizeNow(record).memory_bytes},
                         {"agent", record.agent() == AGENT_PLAIN_KATA ? "kata" : "podvisor"},
                         {"cgroups", std::vector<std::string>(record.cgroup().directories().begin(),
                                                              record.cgroup().directories().end())}};
  if (sandbox.handler() != nullptr) info["hypervisor"] = sandbox.handler()->hypervisor->Describe();
  if (const auto vm = sandbox.guest().vm) {
    const std::vector<pid_t> pids = vm->Pids();
    info["pids"] = pids;
    if (!pids.empty()) info["pid"] = pids.front();
  }
  return info.dump();
}

std::string OriginInfo(const SandboxRecord& record) {
  nlohmann::json info = {{"origin", record.vm_origin()}};
  if (!record.vm_origin_reason().empty()) info["reason"] = record.vm_origin_reason();
  return info.dump();
}

// For `podvisor trace`: milliseconds.
std::string TraceInfo(const Sandbox& sandbox) {
  nlohmann::json trace = nlohmann::json::array();
  for (const StageTrace::Stage& stage : sandbox.trace().stages()) {
    trace.push_back({{"stage", stage.name},
                     {"offset_ms", absl::ToDoubleMilliseconds(stage.offset)},
                     {"duration_ms", absl::ToDoubleMilliseconds(stage.took)}});
  }
  return trace.dump();
}

std::string ContainerInfo(const ContainerRecord& record) {
  const nlohmann::json info = {{"phase", std::string(Name(FromRecord(record.phase())))},
                               {"sandboxID", record.sandbox_id()},
                               {"rootfsImage", record.disk_path()},
                               {"stopSignal", record.stop_signal()}};
  return info.dump();
}

SandboxStatus Show(const Sandbox& sandbox, Detail detail) {
  SandboxStatus status = ShowSandbox(sandbox);
  if (detail == Detail::kVerbose) {
    const SandboxRecord record = sandbox.record();
    status.info["info"] = SandboxInfo(sandbox, record);
    status.info["trace"] = TraceInfo(sandbox);
    status.info["vm_origin"] = OriginInfo(record);
  }
  return status;
}

ContainerStatus Show(const Container& container, Detail detail) {
  ContainerStatus status = ShowContainer(container);
  if (detail == Detail::kVerbose) status.info["info"] = ContainerInfo(container.record());
  return status;
}

}  // namespace

absl::StatusOr<SandboxStatus> PodManagerImpl::GetSandbox(const std::string& id, Detail detail) {
  ASSIGN_OR_RETURN(std::shared_ptr<Sandbox> sandbox, FindSandbox(id));
  return Show(*sandbox, detail);
}

bool PodManagerImpl::Matches(const Sandbox& sandbox, const SandboxFilter& filter) {
  const SandboxPhase phase = sandbox.phase();
  if (phase == SandboxPhase::kCreating || (filter.state && *filter.state != ShownAs(phase))) return false;
  return absl::StartsWith(sandbox.id(), filter.id) && HasLabels(sandbox.config().labels(), filter.labels);
}

std::vector<SandboxStatus> PodManagerImpl::ListSandboxes(const SandboxFilter& filter) {
  std::vector<SandboxStatus> list;
  for (const std::shared_ptr<Sandbox>& sandbox : context_.sandboxes.All()) {
    if (Matches(*sandbox, filter)) list.push_back(ShowSandbox(*sandbox));
  }
  return list;
}

absl::StatusOr<ContainerStatus> PodManagerImpl::GetContainer(const std::string& id, Detail detail) {
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, FindContainer(id));
  return Show(*container, detail);
}

std::vector<ContainerStatus> PodManagerImpl::ListContainers(const ContainerFilter& filter) {
  std::vector<ContainerStatus> list;
  for (const std::shared_ptr<Container>& container : context_.containers.All()) {
    const ContainerPhase phase = container->phase();
    if (phase == ContainerPhase::kCreating || (filter.state && *filter.state != ShownAs(phase))) continue;
    if (!absl::StartsWith(container->id(), filter.id)) continue;
    if (!absl::StartsWith(container->sandbox()->id(), filter.sandbox_id)) continue;
    if (!HasLabels(container->config().labels(), filter.labels)) continue;
    list.push_back(ShowContainer(*container));
  }
  return list;
}

PodSnapshot PodManagerImpl::Snapshot() {
  PodSnapshot snapshot;
  for (SandboxPhase phase : kAllSandboxPhases) snapshot.sandboxes[phase] = 0;
  for (ContainerPhase phase : kAllContainerPhases) snapshot.containers[phase] = 0;
  for (const std::shared_ptr<Container>& container : context_.containers.All())
    ++snapshot.containers[container->phase()];
  for (const std::shared_ptr<Sandbox>& sandbox : context_.sandboxes.All()) {
    ++snapshot.sandboxes[sandbox->phase()];
    const std::shared_ptr<Vm> vm = sandbox->guest().vm;
    if (vm == nullptr) continue;
    ++snapshot.origins[sandbox->record().vm_origin()];
    absl::StatusOr<VmUsage> usage = vm->Usage();
    if (!usage.ok()) continue;  // it is ending
    snapshot.vms.push_back({.sandbox_id = sandbox->id(),
                            .pod_namespace = sandbox->config().metadata().namespace_(),
                            .pod_name = sandbox->config().metadata().name(),
                            .usage = *usage,
                            .metrics = vm->Metrics()});
  }
  snapshot.pools = context_.factories.Pools();
  snapshot.templates = context_.factories.Templates();
  return snapshot;
}

}  // namespace podvisor
