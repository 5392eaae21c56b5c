// What the forked child does until exec.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_CHILD_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_CHILD_H_

#include <utility>

#include "absl/status/status.h"
#include "agent/guest/launch/launch.h"
#include "agent/guest/launch/rootfs.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

struct ChildFds {
  UniqueFd control;
  UniqueFd standard[3];  // none with a terminal
};

// Made by the agent, used by the child.
class Child {
 public:
  // Borrows what `request` shows.
  Child(const LaunchRequest& request, ChildFds fds) : request_(request), fds_(std::move(fds)) {}

  // Of a container: what takes the guest's own rights, up to its user namespace, if it has one. Run() does it where
  // nobody has.
  absl::Status Prepare();

  // Ends in exec or, with the error told through the control socket, in _exit.
  [[noreturn]] void Run();

 private:
  absl::Status TryRun();

  const LaunchRequest& request_;
  ChildFds fds_;
  bool arranged_ = false;
  bool prepared_ = false;
  RootfsPlan plan_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_CHILD_H_
