#include "podmanager/factory/factory_parts.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "podmanager/ids.h"

namespace podvisor {

void OwnAgents::Add(const std::shared_ptr<AgentClient>& agent) {
  {
    absl::MutexLock lock(&mu_);
    agents_.erase(std::remove_if(agents_.begin(), agents_.end(), [](const auto& gone) { return gone.expired(); }),
                  agents_.end());
    if (!closed_) return agents_.push_back(agent);
  }
  agent->Close();
}

void OwnAgents::CloseAll() {
  std::vector<std::weak_ptr<AgentClient>> agents;
  {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    agents.swap(agents_);
  }
  for (const std::weak_ptr<AgentClient>& weak : agents) {
    if (const auto agent = weak.lock()) agent->Close();
  }
}

absl::StatusOr<VmSite> MakeOwnSite(const FactoryParts& parts, const RuntimeHandler& handler) {
  VmSite site;
  site.id = RandomId();
  site.cgroup_procs = parts.cgroup_procs;
  absl::Status status;
  absl::StatusOr<std::string> netns = parts.network.CreateNamespace(site.id);
  if (netns.ok()) {
    site.netns_path = *netns;
    // Opened to see that there is one: closed again at once.
    status = parts.network.OpenTap(site.id).status();
    if (status.ok()) status = MakeVmFolders(parts.run_dir, handler.hypervisor->capabilities(), &site);
  } else {
    status = netns.status();
  }
  if (status.ok()) return site;
  RemoveOwnSite(parts, site.id).IgnoreError();  // an orphan at the next start
  return status;
}

absl::Status RemoveOwnSite(const FactoryParts& parts, const std::string& id) {
  RETURN_IF_ERROR(RemoveVmFolders(parts.run_dir, id));
  return parts.network.DeleteNamespace(id);
}

VmOrder OwnOrder(const FactoryParts& parts, const RuntimeHandler& handler, const VmSite& site) {
  VmOrder order;
  order.handler = &handler;
  order.site = site;
  order.open_tap = [&network = parts.network, id = site.id] { return network.OpenTap(id); };
  order.vcpus = handler.vcpus;
  order.memory_bytes = handler.memory_bytes;
  order.on_vm = [agents = parts.own_agents](const std::shared_ptr<Vm>&, const std::shared_ptr<AgentClient>& agent) {
    agents->Add(agent);
  };
  order.cancelled = [&parts] { return parts.stopping || parts.own_agents->closed(); };
  return order;
}

}  // namespace podvisor
