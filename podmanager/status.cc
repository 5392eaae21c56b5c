// What PodManager shows of sandboxes and containers.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "podmanager/container_operations.h"
#include "podmanager/pod_manager_impl.h"

namespace podvisor {

namespace {

absl::Time TimeOf(int64_t nanos) { return nanos == 0 ? absl::InfinitePast() : absl::FromUnixNanos(nanos); }

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
                         {"vcpus", record.vcpus()},
                         {"memoryBytes", record.memory_bytes()},
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

std::string ContainerInfo(const ContainerRecord& record) {
  const nlohmann::json info = {{"phase", std::string(Name(FromRecord(record.phase())))},
                               {"sandboxID", record.sandbox_id()},
                               {"rootfsImage", record.disk_path()},
                               {"stopSignal", record.stop_signal()}};
  return info.dump();
}

SandboxStatus Show(const Sandbox& sandbox, Detail detail) {
  SandboxStatus status;
  status.id = sandbox.id();
  status.config = sandbox.shared_config();
  status.runtime_handler = sandbox.handler_name();
  sandbox.Look([&status](const SandboxRecord& record) {
    status.state = ShownAs(FromRecord(record.phase()));
    status.reason = record.reason();
    status.created_at = TimeOf(record.created_at_ns());
    status.ips.assign(record.ips().begin(), record.ips().end());
  });
  if (detail == Detail::kVerbose) status.info["info"] = SandboxInfo(sandbox, sandbox.record());
  return status;
}

ContainerStatus Show(const Container& container, Detail detail) {
  ContainerStatus status;
  status.id = container.id();
  status.sandbox_id = container.sandbox()->id();
  status.config = container.shared_config();
  container.Look([&status](const ContainerRecord& record) {
    status.state = ShownAs(FromRecord(record.phase()));
    status.created_at = TimeOf(record.created_at_ns());
    // A container that is being started is shown as created.
    const bool shown_started = status.state != ContainerState::kCreated;
    status.started_at = shown_started ? TimeOf(record.started_at_ns()) : absl::InfinitePast();
    status.finished_at = TimeOf(record.finished_at_ns());
    status.exit_code = record.exit_code();
    status.reason = record.reason();
    status.message = record.message();
    status.image_id = record.image_id();
    status.image_ref = record.image_ref();
    status.log_path = record.log_path();
    status.uid = record.uid();
    status.gid = record.gid();
    status.supplemental_groups.assign(record.supplemental_groups().begin(), record.supplemental_groups().end());
    status.resources = record.resources();
  });
  if (detail == Detail::kVerbose) status.info["info"] = ContainerInfo(container.record());
  return status;
}

}  // namespace

absl::StatusOr<SandboxStatus> PodManagerImpl::GetSandbox(const std::string& id, Detail detail) {
  ASSIGN_OR_RETURN(std::shared_ptr<Sandbox> sandbox, FindSandbox(id));
  return Show(*sandbox, detail);
}

std::vector<SandboxStatus> PodManagerImpl::ListSandboxes(const SandboxFilter& filter) {
  std::vector<SandboxStatus> list;
  for (const std::shared_ptr<Sandbox>& sandbox : context_.sandboxes.All()) {
    const SandboxPhase phase = sandbox->phase();
    if (phase == SandboxPhase::kCreating || (filter.state && *filter.state != ShownAs(phase))) continue;
    if (!absl::StartsWith(sandbox->id(), filter.id) || !HasLabels(sandbox->config().labels(), filter.labels)) continue;
    list.push_back(Show(*sandbox, Detail::kBrief));
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
    list.push_back(Show(*container, Detail::kBrief));
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
    absl::StatusOr<VmUsage> usage = vm->Usage();
    if (!usage.ok()) continue;  // it is ending
    snapshot.vms.push_back({.sandbox_id = sandbox->id(),
                            .pod_namespace = sandbox->config().metadata().namespace_(),
                            .pod_name = sandbox->config().metadata().name(),
                            .usage = *usage,
                            .metrics = vm->Metrics()});
  }
  return snapshot;
}

}  // namespace podvisor
