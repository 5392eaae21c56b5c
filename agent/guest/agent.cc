#include "agent/guest/agent.h"

#include "agent/guest/text_file.h"

namespace podvisor::guest {

Agent::Agent(Role role, std::unique_ptr<CgroupTree> cgroups)
    : role(role),
      boot_id(ReadTextOrEmpty("/proc/sys/kernel/random/uuid")),
      uevents(loop),
      cgroup_tree(std::move(cgroups)),
      containers(loop, uevents, cgroup_tree.get()),
      sandbox(uevents),
      server(loop, dispatcher) {
  AddHealthService(*this);
  AddSandboxCalls(*this);
  AddContainerCalls(*this);
  AddStreamCalls(*this);
  AddGuestCalls(*this);
  AddNetworkCalls(*this);
  AddFileCalls(*this);
  AddExtensionService(*this);
}

void Agent::Destroy(std::function<void()> done) {
  containers.RemoveAll([this, done = std::move(done)] {
    sandbox.Destroy();
    destroyed = true;
    done();
  });
}

}  // namespace podvisor::guest
