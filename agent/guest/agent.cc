#include "agent/guest/agent.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>

#include <utility>

#include "agent/guest/free_pages.h"
#include "agent/guest/log.h"
#include "base/status_macros.h"

namespace podvisor::guest {

Agent::Agent(Role role, std::unique_ptr<CgroupTree> cgroups)
    : role(role),
      uevents(loop),
      cgroup_tree(std::move(cgroups)),
      containers(loop, uevents, cgroup_tree.get(), sysctls, namespaces.users()),
      sandbox(uevents, namespaces.users()),
      ports(loop),
      server(loop, dispatcher) {
  AddHealthService(*this);
  AddSandboxCalls(*this);
  AddContainerCalls(*this);
  AddStreamCalls(*this);
  AddGuestCalls(*this);
  AddNetworkCalls(*this);
  AddFileCalls(*this);
  AddExtensionService(*this);
  AddPortCalls(*this);
  AddStatsCalls(*this);
  dispatcher.OnOwnerGone([this] { ports.Sweep(); });
}

void Agent::Destroy(std::function<void()> done) {
  containers.RemoveAll([this, done = std::move(done)] {
    Blank();
    done();
  });
}

void Agent::Blank() {
  ports.CloseAll();
  sysctls.Restore(namespaces.users().root_uid);  // while interfaces have the names that are in them
  sandbox.Destroy();
  if (!network_originals.links.empty() || network_originals.routes_changed) {
    absl::StatusOr<Network> network = Network::Open(network_originals);
    const absl::Status status = network.ok() ? network->Restore() : network.status();
    if (!status.ok()) Log(status.message());
  }
  if (const absl::Status status = namespaces.Leave(); !status.ok())
    Log("leave the pod's namespaces: ", status.message());
  if (cgroup_tree != nullptr) {
    if (const absl::Status status = cgroup_tree->Reset(); !status.ok()) Log(status.message());
  }
  // Pages that are written to are a clone's own: fewer of them.
  ::malloc_trim(0);
  // Shared memory, semaphores and message queues that nobody has removed.
  if (::unshare(CLONE_NEWIPC) != 0) Log(ErrnoStatus(errno, "new ipc namespace").message());
  if (role == Role::kInit) OverwriteFreePages();
}

void Agent::WhenSettled(std::function<void()> function) {
  if (settling_ < 0) return function();
  when_settled_.push_back(std::move(function));
}

void Agent::OnChildExit(pid_t pid, int wait_status) {
  if (pid != settling_) {
    containers.OnChildExit(pid, wait_status);
    return;
  }
  settling_ = -1;
  for (const auto& function : std::exchange(when_settled_, {})) function();
}

}  // namespace podvisor::guest
