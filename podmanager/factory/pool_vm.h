// One VM of the pool: how it is made ready, found again, and ended.
#ifndef PODVISOR_PODMANAGER_FACTORY_POOL_VM_H_
#define PODVISOR_PODMANAGER_FACTORY_POOL_VM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "podmanager/factory/factory_parts.h"
#include "podmanager/factory/vm_factory.h"
#include "podmanager/records.pb.h"

namespace podvisor {

// Paused, blank, with a record. Its client's connection stays open.
struct PoolVm : ReservedVm {
  std::string key;            // of the pool: PoolKey()
  uint64_t memory_bytes = 0;  // that it takes (PSS)
};

// Which guests are alike enough to share a pool. An error where the driver makes no clones.
absl::StatusOr<std::string> PoolKey(const RuntimeHandler& handler);

// Makes one by way of `factory`, rehearses, pauses, writes its record. On an error nothing is left, unless it could not
// be removed; that is logged. Stands back for requests at each step.
absl::StatusOr<std::shared_ptr<PoolVm>> MakePoolVm(const FactoryParts& parts, VmFactory& factory,
                                                   const RuntimeHandler& handler, const std::string& key);

// One that an earlier daemon made: connected again, and asked, for which it runs for a moment. After an error it is
// still to be ended.
absl::StatusOr<std::shared_ptr<PoolVm>> AdoptPoolVm(const FactoryParts& parts, const RuntimeHandler& handler,
                                                    const PoolRecord& record);

// Ends it and removes all that is its own, the record last; what fails is logged, and found again by the next daemon.
void EndPoolVm(const FactoryParts& parts, PoolVm& vm);
// The same for one that can't be adopted.
void EndLostPoolVm(const FactoryParts& parts, const std::vector<Hypervisor*>& drivers, const PoolRecord& record);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_POOL_VM_H_
