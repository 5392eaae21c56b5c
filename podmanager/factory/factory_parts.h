// What the factories work with, and the site of a VM that no pod has.
#ifndef PODVISOR_PODMANAGER_FACTORY_FACTORY_PARTS_H_
#define PODVISOR_PODMANAGER_FACTORY_FACTORY_PARTS_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "netns/pod_network.h"
#include "podmanager/factory/request_gate.h"
#include "podmanager/factory/vm_factory.h"
#include "podmanager/factory/vm_site.h"
#include "podmanager/record_store.h"
#include "podmanager/task_group.h"

namespace podvisor {

// Agents of VMs that are being made for no pod: closed when the pool is, so that nobody waits for them. Thread-safe.
class OwnAgents {
 public:
  // Closes it at once after CloseAll().
  void Add(const std::shared_ptr<AgentClient>& agent) ABSL_LOCKS_EXCLUDED(mu_);
  void CloseAll() ABSL_LOCKS_EXCLUDED(mu_);
  bool closed() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return closed_;
  }

 private:
  mutable absl::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::weak_ptr<AgentClient>> agents_ ABSL_GUARDED_BY(mu_);
};

// Borrowed: each outlives the factories.
struct FactoryParts {
  EventLoop& loop;
  PodNetwork& network;
  RecordStore& store;
  TaskGroup& tasks;
  RequestGate& requests;
  const std::atomic<bool>& stopping;  // the daemon goes down
  std::string run_dir;
  AgentClient::Observer on_agent_call;
  // The pool's cgroup.procs files: VMs that belong to no pod.
  std::vector<std::string> cgroup_procs;
  std::shared_ptr<OwnAgents> own_agents = std::make_shared<OwnAgents>();
};

// How long one piece of work ahead of requests lets them go first, all its steps together.
inline constexpr absl::Duration kStandBack = absl::Seconds(10);

// Namespace with tap, and folders, under a new id. There is no record of it: what a killed daemon leaves is found as an
// orphan (orphans.h). On an error nothing is left. kFailedPrecondition where the network makes taps with CNI ADD only.
absl::StatusOr<VmSite> MakeOwnSite(const FactoryParts& parts, const RuntimeHandler& handler);
// The VM on it has ended. Idempotent.
absl::Status RemoveOwnSite(const FactoryParts& parts, const std::string& id);

// An order for a VM of the handler's size on such a site.
VmOrder OwnOrder(const FactoryParts& parts, const RuntimeHandler& handler, const VmSite& site);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_FACTORY_PARTS_H_
