// A pod's start, done once in a VM before any pod has it: what is paid at the first time (modules, page faults, caches,
// the emulator's translation of code) is then paid already.
#ifndef PODVISOR_PODMANAGER_FACTORY_REHEARSAL_H_
#define PODVISOR_PODMANAGER_FACTORY_REHEARSAL_H_

#include <functional>

#include "absl/status/status.h"
#include "agent/client/agent_client.h"
#include "podmanager/runtime_handler.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Waits until the guest has settled, then by the real calls: ConfigureSandbox with made-up values, the rehearsal image
// as a disk, a container that is created, started, executed in, waited for and removed, DestroySandbox. The guest is
// blank again at the end. After an error it is not: of no use. A handler without rehearsal image gets the sandbox
// alone. `stand_back` is called between steps.
absl::Status Rehearse(const RuntimeHandler& handler, Vm& vm, AgentClient& agent,
                      const std::function<void()>& stand_back);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_REHEARSAL_H_
