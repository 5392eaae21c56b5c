#include "podmanager/orphans.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/host_cgroup.h"
#include "podmanager/ids.h"
#include "podmanager/network_request.h"
#include "podmanager/paths.h"
#include "podmanager/sandbox_operations.h"

namespace podvisor {

namespace {

absl::Status RemoveOrphan(PodContext& context, const std::string& id) {
  const absl::Time deadline = absl::Now() + RuntimeTimeouts().network;
  std::set<Hypervisor*> drivers;
  for (const auto& [name, handler] : context.options.handlers) drivers.insert(handler.hypervisor);
  for (Hypervisor* driver : drivers) {
    RETURN_IF_ERROR(driver->CleanUp(id, SandboxRuntimeDir(context.options.run_dir, id)), "VM");
  }
  if (!context.options.cgroup_root.empty()) {
    CgroupPlan plan = FindCgroup(context.options.cgroup_root, id);
    ASSIGN_OR_RETURN(CgroupPlan ours, PlanCgroup(context.options.cgroup_root, context.options.default_cgroup_parent,
                                                 CgroupParent::kOurs, id));
    plan.created_parents = std::move(ours.created_parents);
    RETURN_IF_ERROR(RemoveCgroup(plan, deadline));
  }
  RETURN_IF_ERROR(RemoveRuntimeFiles(context, id));
  ASSIGN_OR_RETURN(std::vector<std::string> namespaces, context.network.ListNamespaces());
  if (std::find(namespaces.begin(), namespaces.end(), id) == namespaces.end()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::string netns_path, context.network.CreateNamespace(id));  // it exists: only asks for the path
  RETURN_IF_ERROR(context.network.Teardown(MakeNetworkRequest(id, SandboxConfig(), netns_path), deadline), "network");
  return context.network.DeleteNamespace(id);
}

}  // namespace

Orphans FindOrphans(PodContext& context) {
  std::set<std::string> sandboxes, containers;
  for (const std::shared_ptr<Sandbox>& sandbox : context.sandboxes.All()) sandboxes.insert(sandbox->id());
  for (const PoolRecord& vm : context.left_pool_vms) sandboxes.insert(vm.id());  // the pool's to take over or end
  for (const std::shared_ptr<Container>& container : context.containers.All()) containers.insert(container->id());

  Orphans orphans;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(SandboxesDir(context.options.run_dir), error)) {
    const std::string id = entry.path().filename().string();
    if (IsId(id) && sandboxes.count(id) == 0) orphans.sandboxes.insert(id);
  }
  if (absl::StatusOr<std::vector<std::string>> ids = context.network.ListNamespaces(); ids.ok()) {
    for (const std::string& id : *ids) {
      if (IsId(id) && sandboxes.count(id) == 0) orphans.sandboxes.insert(id);
    }
  } else {
    spdlog::error("left-over network namespaces can't be looked for: {}", ids.status().ToString());
  }
  for (const std::string& holder : context.images.LeaseHolders()) {
    // A container's own image has its id, an image volume "ID/volume/INDEX".
    if (containers.count(holder.substr(0, holder.find('/'))) == 0) orphans.lease_holders.insert(holder);
  }
  if (absl::StatusOr<std::vector<StateDb::Row>> rows = context.db.Scan(kLogCheckpointTable); rows.ok()) {
    for (const StateDb::Row& row : *rows) {
      if (containers.count(row.first) == 0) orphans.checkpoints.insert(row.first);
    }
  } else {
    spdlog::error("left-over log checkpoints can't be looked for: {}", rows.status().ToString());
  }
  return orphans;
}

void RemoveOrphans(PodContext& context, const Orphans& orphans) {
  for (const std::string& id : orphans.sandboxes) {
    if (absl::Status status = RemoveOrphan(context, id); !status.ok()) {
      spdlog::error("sandbox {}: what is left of it can't be removed: {}", id, status.ToString());
    } else {
      spdlog::warn("sandbox {}: had no record; what was left of it is removed", id);
    }
  }
  for (const std::string& id : orphans.lease_holders) {
    if (absl::Status status = context.images.Release(id); !status.ok()) {
      spdlog::error("container {}: its image lease can't be released: {}", id, status.ToString());
    }
  }
  for (const std::string& id : orphans.checkpoints) {
    if (absl::Status status = ContainerLog::Forget(context.db, id); !status.ok()) {
      spdlog::error("container {}: its log checkpoint can't be deleted: {}", id, status.ToString());
    }
  }
}

}  // namespace podvisor
