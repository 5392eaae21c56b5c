// Plugin bridge with IPAM host-local.
#ifndef PODVISOR_NETNS_BUILTIN_BRIDGE_H_
#define PODVISOR_NETNS_BUILTIN_BRIDGE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "netns/background.h"
#include "netns/builtin/address_pool.h"
#include "netns/builtin/bridge_config.h"
#include "netns/builtin/nat_table.h"
#include "netns/builtin/plugin_call.h"

namespace podvisor {

// The rules that leases ask for.
std::vector<NatRule> MasqueradeRules(const std::vector<Lease>& leases);

// DEL returns when the pod's packets are no longer translated. Taking the veth pair away waits for the kernel, so it is
// left to `background`; until it is gone the pod's addresses stay taken. A daemon that is killed before finds leases
// that no pod explains: Forget(). Thread-safe. The parts outlive it.
class BridgePlugin {
 public:
  BridgePlugin(AddressPool& pool, NatTable& nat, Background& background)
      : pool_(pool), nat_(nat), background_(background) {}

  absl::StatusOr<std::string> Add(const PluginCall& call);
  absl::Status Del(const PluginCall& call);
  // kNotFound names what is missing: the veth pair, an address in the pod, a rule of the firewall.
  absl::Status Check(const PluginCall& call);

  // In the background: removes the pair, then gives the addresses back.
  void Forget(const AttachmentId& id);

 private:
  absl::StatusOr<std::vector<Lease>> Allocate(const AttachmentId& id, const BridgeConfig& config);
  bool IsEnding(const AttachmentId& id);

  AddressPool& pool_;
  NatTable& nat_;
  Background& background_;

  absl::Mutex mu_;
  std::multiset<AttachmentId> ending_ ABSL_GUARDED_BY(mu_);  // given to the background
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_BRIDGE_H_
