#include "podmanager/factory/factory_parts.h"

#include <utility>

#include "base/status_macros.h"
#include "podmanager/ids.h"

namespace podvisor {

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
  order.cancelled = [&stopping = parts.stopping] { return stopping.load(); };
  return order;
}

}  // namespace podvisor
