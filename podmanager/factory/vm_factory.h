// Where the VM of a pod comes from. Three factories behind one interface, each falling back to the one before:
//
//   cold      the guest's kernel boots
//   template  a clone of a VM that has booted and been saved: template_store.h
//   pool      a clone that was made ahead, has rehearsed a pod's start, and waits paused: pool_factory.h
//
// A pod never fails because of a factory that can't: it takes the way that is left, and FactoryVm::why says so.
#ifndef PODVISOR_PODMANAGER_FACTORY_VM_FACTORY_H_
#define PODVISOR_PODMANAGER_FACTORY_VM_FACTORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "base/unique_fd.h"
#include "podmanager/factory/vm_site.h"
#include "podmanager/runtime_handler.h"
#include "vmm/hypervisor.h"

namespace podvisor {

enum class VmOrigin { kCold, kTemplate, kPool };

// "cold", "template", "pool": as the configuration and the sandbox's status have them.
absl::string_view Name(VmOrigin origin);
VmOrigin OriginOf(FactoryKind kind);

// A VM that was made ahead and is held for one caller: its site is the sandbox's.
struct ReservedVm {
  VmSite site;  // cgroup_procs: the pool's
  std::string vm_record;
  std::shared_ptr<Vm> vm;
  std::shared_ptr<AgentClient> agent;
};

// What a sandbox wants.
struct VmOrder {
  const RuntimeHandler* handler = nullptr;
  VmSite site;
  // The tap of the site's namespace; no descriptor for a VM without NIC. May be called again: a VM that is given up has
  // let go of it.
  std::function<absl::StatusOr<UniqueFd>()> open_tap;
  // The size that the VM is to have at the end.
  int vcpus = 1;
  uint64_t memory_bytes = 0;
  std::shared_ptr<ReservedVm> reserved;  // from Reserve(), or null
  // There is a VM, which does not answer yet: whoever gives up closes the agent's client. Called again for each try.
  std::function<void(const std::shared_ptr<Vm>& vm, const std::shared_ptr<AgentClient>& agent)> on_vm;
  // Whether the caller has given up: nothing else is tried then.
  std::function<bool()> cancelled;
  // A step has ended. May be empty.
  std::function<void(absl::string_view stage, absl::StatusCode code, absl::Time start)> on_stage;
};

// Runs, and its agent answers. The driver's exit watch is free: whoever takes it hears of an end that was before.
struct FactoryVm {
  std::shared_ptr<Vm> vm;
  std::shared_ptr<AgentClient> agent;
  VmOrigin origin = VmOrigin::kCold;
  std::string why;  // why it is not what the handler asks for; empty if it is
};

// Thread-safe.
class VmFactory {
 public:
  virtual ~VmFactory() = default;

  // Takes a VM for a sandbox that does not exist yet, so that the sandbox gets its id; null where there is none. Of the
  // order only handler and size count. Nothing has been done to it: GiveBack() undoes it. Does not block.
  virtual std::shared_ptr<ReservedVm> Reserve(const VmOrder& /*order*/) { return nullptr; }
  virtual void GiveBack(std::shared_ptr<ReservedVm> /*reserved*/) {}

  // Blocks until the VM's agent answers, within the handler's timeouts. After an error no VM is left unless it could
  // not be stopped: the last one that on_vm() was told of. Messages end with the tail of the guest's console.
  virtual absl::StatusOr<FactoryVm> Make(const VmOrder& order) = 0;
};

// The same guest for every clone: what a handler's VMs have in common. Without id, folders and tap.
VmSpec HandlerSpec(const RuntimeHandler& handler);
// What a VM on `site` is made of. `tap` may be no descriptor.
VmSpec SiteSpec(const RuntimeHandler& handler, const VmSite& site, const UniqueFd& tap);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_VM_FACTORY_H_
