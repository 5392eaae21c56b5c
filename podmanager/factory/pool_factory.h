// VMs made ahead: each has its namespace with a tap, its folders and an id, has rehearsed a pod's start and waits
// paused, so that a pod that takes it takes over its id and nothing has to be moved.
//
//            MakePoolVm()            Reserve()
//   ─────────────────────▶ waiting ────────────▶ held ──record of the sandbox──▶ the sandbox's
//   AdoptPoolVm()  ▲         │  ▲                  │
//                  │         │  └──GiveBack()──────┘
//             a restart      ▼
//                         ended: it died, is not wanted any more, or the daemon is stopped
#ifndef PODVISOR_PODMANAGER_FACTORY_POOL_FACTORY_H_
#define PODVISOR_PODMANAGER_FACTORY_POOL_FACTORY_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "podmanager/factory/factory_parts.h"
#include "podmanager/factory/pool_demand.h"
#include "podmanager/factory/pool_vm.h"
#include "podmanager/factory/template_store.h"
#include "podmanager/factory/vm_factory.h"

namespace podvisor {

// For the metrics page.
struct PoolView {
  std::string runtime_handler;  // the first that uses it
  int waiting = 0, filling = 0, wanted = 0;
  std::string error;  // why the last try to fill it failed
};

// Thread-safe. One thread decides what is made and ended; the work is done in tasks of FactoryParts::tasks, at most as
// many at once as the machine has processors, and none begins while requests are coming in (RequestGate).
class PoolFactory final : public VmFactory {
 public:
  // `parts`, `store` and the handlers outlive the factory.
  PoolFactory(const FactoryParts& parts, TemplateStore& store, std::unique_ptr<VmFactory> next, PoolSize size,
              const std::vector<const RuntimeHandler*>& handlers);
  ~PoolFactory() override { Close(Waiting::kStay); }

  // Takes over or ends what an earlier daemon's pool has left, and fills from now on. Once.
  void Start(std::vector<PoolRecord> left);

  // Makes nothing any more. kEnd: waiting VMs are ended, in tasks; kStay: the next daemon finds them. Idempotent.
  enum class Waiting { kStay, kEnd };
  void Close(Waiting waiting);

  // What has changed outside: a template is ready.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);

  std::shared_ptr<ReservedVm> Reserve(const VmOrder& order) override ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack(std::shared_ptr<ReservedVm> reserved) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<FactoryVm> Make(const VmOrder& order) override;

  std::vector<PoolView> View() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Pool {
    explicit Pool(PoolSize size) : demand(size) {}
    const RuntimeHandler* handler = nullptr;
    std::deque<std::shared_ptr<PoolVm>> waiting;  // the newest last
    int filling = 0;
    PoolDemand demand;
    int failures = 0;  // in a row
    absl::Time retry_at = absl::InfinitePast();
    std::string error;
  };

  // The deciding thread.
  void Keep() ABSL_LOCKS_EXCLUDED(mu_);
  // Looks at every pool once; returns when to look again.
  absl::Time Decide() ABSL_LOCKS_EXCLUDED(mu_);
  using Wanted = std::map<std::string, const RuntimeHandler*>;  // by key
  struct Decision {
    std::vector<std::pair<std::string, const RuntimeHandler*>> fill;
    std::vector<std::shared_ptr<PoolVm>> end;
    absl::Time next = absl::InfiniteFuture();
  };
  Decision DecideLocked(const Wanted& wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DecideOneLocked(const std::string& key, Pool& pool, int target, Decision* decision)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Fill(const std::string& key, const RuntimeHandler& handler);
  void Filled(const std::string& key, absl::StatusOr<std::shared_ptr<PoolVm>> made) ABSL_LOCKS_EXCLUDED(mu_);
  void Adopt(const PoolRecord& record);
  void Watch(const std::shared_ptr<PoolVm>& vm);
  void Lost(const std::string& id, const std::string& reason) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<FactoryVm> Give(const VmOrder& order);
  uint64_t MemoryLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const FactoryParts& parts_;
  TemplateStore& store_;
  const std::unique_ptr<VmFactory> next_;
  const PoolSize size_;
  std::vector<const RuntimeHandler*> handlers_;  // that use a pool
  std::vector<Hypervisor*> drivers_;             // all, each once
  const int workers_;

  absl::Mutex mu_;  // a leaf
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = true;
  int working_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, Pool> pools_ ABSL_GUARDED_BY(mu_);  // by key
  std::thread keeper_;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_POOL_FACTORY_H_
