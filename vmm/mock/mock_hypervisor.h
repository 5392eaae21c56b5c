// A hypervisor without virtual machines: state, failpoints and a fake agent per VM.
#ifndef PODVISOR_VMM_MOCK_MOCK_HYPERVISOR_H_
#define PODVISOR_VMM_MOCK_MOCK_HYPERVISOR_H_

#include <memory>
#include <string>

#include "vmm/hypervisor.h"
#include "vmm/mock/mock_host.h"

namespace podvisor {

// All that the interface knows: pause, disk swap and hotplug, resizing, a 9p folder, templates, 64 vCPUs.
Capabilities MockCapabilities();

// A driver on `host`, which outlives it. Several may use one host, one after the other or at once: daemons that are
// restarted. VMs are adopted as long as the host lives, so not by another process.
std::unique_ptr<Hypervisor> MakeMockHypervisor(MockHost& host, Capabilities capabilities = MockCapabilities());

}  // namespace podvisor

#endif  // PODVISOR_VMM_MOCK_MOCK_HYPERVISOR_H_
