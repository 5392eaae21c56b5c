// From a VmSpec to a VM whose agent answers; and the ways in which that is given up.
#ifndef PODVISOR_PODMANAGER_FACTORY_START_VM_H_
#define PODVISOR_PODMANAGER_FACTORY_START_VM_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "podmanager/factory/vm_factory.h"

namespace podvisor {

// How the steps of a start are called in metrics.
struct StartStages {
  absl::string_view create;
  absl::string_view answer;
};
inline constexpr StartStages kColdStages = {"vmm_start", "agent_ready"};
inline constexpr StartStages kCloneStages = {"clone", "clone_ready"};

// Makes the VM, lets it run, waits for its agent. `boot` and `files` go into the spec; the size is the order's with
// kCold, else the handler's. After an error the VM has been stopped, if that was possible; kCancelled if the caller has
// given up.
absl::StatusOr<FactoryVm> StartVm(EventLoop& loop, const AgentClient::Observer& on_agent_call, const VmOrder& order,
                                  BootMode boot, const TemplateFiles& files, const StartStages& stages);

// Brings a VM of the handler's size to that of the order: new CPUs and memory, online in the guest.
absl::Status GrowVm(const VmOrder& order, Vm& vm, AgentClient& agent);
// Why that can't be done; empty if it can, or need not.
std::string WhyNotGrown(const VmOrder& order);

// Ends a VM that is of no use.
absl::Status DiscardVm(Vm& vm, AgentClient& agent);

// One step, told to order.on_stage.
absl::Status Timed(const VmOrder& order, absl::string_view stage, const std::function<absl::Status()>& step);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_START_VM_H_
