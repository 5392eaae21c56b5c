// The agent's parts, put together; its services are functions that add their methods to the dispatcher.
#ifndef PODVISOR_AGENT_GUEST_AGENT_H_
#define PODVISOR_AGENT_GUEST_AGENT_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "agent/guest/network/network.h"
#include "agent/guest/pod_namespaces.h"
#include "agent/guest/runtime/cgroup.h"
#include "agent/guest/runtime/containers.h"
#include "agent/guest/sandbox.h"
#include "agent/guest/server.h"
#include "agent/guest/services/ports.h"
#include "agent/guest/sysctls.h"
#include "agent/guest/uevents.h"

namespace podvisor::guest {

inline constexpr char kAgentVersion[] = "0.1.0";
// The Kata agent's protocol that this agent speaks.
inline constexpr char kProtocolVersion[] = "0.0.1";

enum class Role { kInit, kDaemon };  // the guest's PID 1; an ordinary process beside others

struct Agent {
  Agent(Role role, std::unique_ptr<CgroupTree> cgroups);

  // Removes all containers and the sandbox and undoes what was changed for it: the guest is as it was before its
  // configuration, fit for another. `done` when the last is gone.
  void Destroy(std::function<void()> done);

  // What is done after the start, while it serves already. `pid` is that of the child that does it.
  void SetSettling(pid_t pid) { settling_ = pid; }
  // Calls `function` when that is over: at once, if it is.
  void WhenSettled(std::function<void()> function);

  // The kernel has reaped a child.
  void OnChildExit(pid_t pid, int wait_status);

  const Role role;
  Loop loop;
  Uevents uevents;
  std::unique_ptr<CgroupTree> cgroup_tree;
  Sysctls sysctls;
  NetworkOriginals network_originals;
  PodNamespaces namespaces;
  Containers containers;
  Sandbox sandbox;
  Ports ports;
  Dispatcher dispatcher;
  Server server;

 private:
  void Blank();

  pid_t settling_ = -1;
  std::vector<std::function<void()>> when_settled_;
};

void AddHealthService(Agent& agent);
void AddSandboxCalls(Agent& agent);
void AddContainerCalls(Agent& agent);
void AddStreamCalls(Agent& agent);
void AddGuestCalls(Agent& agent);
void AddNetworkCalls(Agent& agent);
void AddFileCalls(Agent& agent);
void AddExtensionService(Agent& agent);
void AddPortCalls(Agent& agent);
void AddStatsCalls(Agent& agent);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_AGENT_H_
