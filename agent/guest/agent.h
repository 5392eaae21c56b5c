// The agent's parts, put together; its services are functions that add their methods to the dispatcher.
#ifndef PODVISOR_AGENT_GUEST_AGENT_H_
#define PODVISOR_AGENT_GUEST_AGENT_H_

#include <memory>
#include <string>

#include "agent/guest/call.h"
#include "agent/guest/loop.h"
#include "agent/guest/runtime/cgroup.h"
#include "agent/guest/runtime/containers.h"
#include "agent/guest/sandbox.h"
#include "agent/guest/server.h"
#include "agent/guest/uevents.h"

namespace podvisor::guest {

inline constexpr char kAgentVersion[] = "0.1.0";
// The Kata agent's protocol that this agent speaks.
inline constexpr char kProtocolVersion[] = "0.0.1";

enum class Role { kInit, kDaemon };  // the guest's PID 1; an ordinary process beside others

struct Agent {
  Agent(Role role, std::unique_ptr<CgroupTree> cgroups);

  // Removes all containers and the sandbox; `done` when the last is gone.
  void Destroy(std::function<void()> done);

  const Role role;
  const std::string boot_id;  // random, of this run
  bool destroyed = false;     // ends when the answer is out
  Loop loop;
  Uevents uevents;
  std::unique_ptr<CgroupTree> cgroup_tree;
  Containers containers;
  Sandbox sandbox;
  Dispatcher dispatcher;
  Server server;
};

void AddHealthService(Agent& agent);
void AddSandboxCalls(Agent& agent);
void AddContainerCalls(Agent& agent);
void AddStreamCalls(Agent& agent);
void AddGuestCalls(Agent& agent);
void AddNetworkCalls(Agent& agent);
void AddFileCalls(Agent& agent);
void AddExtensionService(Agent& agent);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_AGENT_H_
