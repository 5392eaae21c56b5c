// All factories of a daemon, put together.
#ifndef PODVISOR_PODMANAGER_FACTORY_FACTORIES_H_
#define PODVISOR_PODMANAGER_FACTORY_FACTORIES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "podmanager/factory/factory_parts.h"
#include "podmanager/factory/pool_demand.h"
#include "podmanager/factory/pool_factory.h"
#include "podmanager/factory/template_store.h"
#include "podmanager/factory/vm_factory.h"
#include "podmanager/host_cgroup.h"

namespace podvisor {

struct FactoryOptions {
  PoolSize pool;
  std::string template_dir;  // empty: TemplateDir() chooses
  TemplateStore::CheckRoom check_template_room = CheckTemplateRoom;
};

// Thread-safe.
class Factories {
 public:
  // `parts` but for cgroup_procs, which is made from `pool_cgroup`. The handlers outlive this.
  Factories(FactoryParts parts, const FactoryOptions& options, CgroupPlan pool_cgroup,
            const std::map<std::string, RuntimeHandler>& handlers);

  // Which factory looks after a pod.
  VmFactory& factory() { return *pool_; }

  // Begins to make templates and to fill the pool; `left` is what an earlier daemon's pool left. Until then pods boot
  // cold.
  void Start(std::vector<PoolRecord> left);
  // Before the tasks are waited for. kEnd also removes the pool's VMs.
  void Close(PoolFactory::Waiting waiting);
  // After the tasks have ended.
  void RemoveCgroup() { RemovePoolCgroup(pool_cgroup_); }

  std::vector<TemplateView> Templates() { return store_.View(); }
  std::vector<PoolView> Pools() { return pool_->View(); }

 private:
  FactoryParts parts_;
  const CgroupPlan pool_cgroup_;
  std::vector<const RuntimeHandler*> handlers_;
  TemplateStore store_;
  std::unique_ptr<PoolFactory> pool_;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_FACTORIES_H_
