// What the forked child does until exec.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_CHILD_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_CHILD_H_

#include "agent/guest/launch/launch.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

struct ChildFds {
  UniqueFd control;
  UniqueFd standard[3];  // none with a terminal
};

// Ends in exec or, with the error told through the control socket, in _exit.
[[noreturn]] void RunChild(const LaunchRequest& request, ChildFds fds);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_CHILD_H_
