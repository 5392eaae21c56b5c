// Plugin portmap: ports of the host that lead to the pod's.
#ifndef PODVISOR_NETNS_BUILTIN_PORT_MAP_H_
#define PODVISOR_NETNS_BUILTIN_PORT_MAP_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/state_db.h"
#include "netns/builtin/address_pool.h"
#include "netns/builtin/nat_table.h"
#include "netns/builtin/plugin_call.h"

namespace podvisor {

// Its rules are rows of the state database, written before they take effect and removed after. Works behind any plugin
// that gave the pod addresses (prevResult). Thread-safe. The parts outlive it.
class PortMapPlugin {
 public:
  static absl::StatusOr<std::unique_ptr<PortMapPlugin>> Open(StateDb& db, NatTable& nat);

  // The result is the one before.
  absl::StatusOr<std::string> Add(const PluginCall& call);
  absl::Status Del(const AttachmentId& id);
  absl::Status Check(const AttachmentId& id);

  // Those of pods that an earlier process served.
  std::map<AttachmentId, std::vector<NatRule>> All();
  // Forgets a pod that is gone, without touching the firewall.
  absl::Status Forget(const AttachmentId& id);

 private:
  PortMapPlugin(StateDb& db, NatTable& nat) : db_(db), nat_(nat) {}
  absl::Status Load();
  std::vector<NatRule> RulesOf(const AttachmentId& id);

  StateDb& db_;
  NatTable& nat_;
  absl::Mutex mu_;
  std::map<AttachmentId, std::vector<NatRule>> rules_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_PORT_MAP_H_
