// What is left of sandboxes and containers that no record names.
#ifndef PODVISOR_PODMANAGER_ORPHANS_H_
#define PODVISOR_PODMANAGER_ORPHANS_H_

#include <set>
#include <string>

#include "podmanager/pod_context.h"

namespace podvisor {

struct Orphans {
  std::set<std::string> sandboxes;      // ids that have a runtime folder or a network namespace
  std::set<std::string> lease_holders;  // container ids
  std::set<std::string> checkpoints;    // container ids
};

// Compares with what is listed: to be called when all records are, and before anything new is made.
Orphans FindOrphans(PodContext& context);

// Ends VMs, networks, cgroups, mounts, files, leases. What can't be removed is logged, and found again at the next
// start.
void RemoveOrphans(PodContext& context, const Orphans& orphans);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_ORPHANS_H_
