// The factory that always works: the guest's kernel boots.
#ifndef PODVISOR_PODMANAGER_FACTORY_COLD_FACTORY_H_
#define PODVISOR_PODMANAGER_FACTORY_COLD_FACTORY_H_

#include <utility>

#include "base/event_loop.h"
#include "podmanager/factory/start_vm.h"
#include "podmanager/factory/vm_factory.h"

namespace podvisor {

class ColdFactory final : public VmFactory {
 public:
  // `loop` outlives the factory.
  ColdFactory(EventLoop& loop, AgentClient::Observer on_agent_call)
      : loop_(loop), on_agent_call_(std::move(on_agent_call)) {}

  absl::StatusOr<FactoryVm> Make(const VmOrder& order) override {
    return StartVm(loop_, on_agent_call_, order, BootMode::kCold, {}, kColdStages);
  }

 private:
  EventLoop& loop_;
  const AgentClient::Observer on_agent_call_;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_COLD_FACTORY_H_
