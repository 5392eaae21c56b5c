// Starting a container's process, or one more process in a container.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_LAUNCH_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_LAUNCH_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "agent/guest/launch/pod_users.h"
#include "agent/guest/launch/seccomp.h"
#include "base/unique_fd.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

struct LaunchRequest {
  const grpc::Spec* spec = nullptr;        // the container's
  const grpc::Process* process = nullptr;  // spec's own, or that of an exec
  // Of an exec: pidfd of the container's process, whose namespaces it joins. -1: a container.
  int container_pidfd = -1;
  // pidfd of a process in the pid namespace to join; -1: a new one.
  int pid_namespace_of = -1;
  int cgroup_fd = -1;  // -1: the agent's own
  const SeccompFilter* seccomp = nullptr;
  PodUsers users;       // of a spec with a user namespace
  uid_t ipc_owner = 0;  // root of the user namespace that the pod's ipc namespace belongs to
};

struct Launched {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd control;  // launch/control.h
  // Our ends, non-blocking. With a terminal, none: its master comes through `control`.
  UniqueFd stdin_fd;
  UniqueFd stdout_fd;
  UniqueFd stderr_fd;
};

// Forks. The child sets itself up and reports through `control`; a container's then waits for SendStart, an exec goes
// on by itself. Errors of the fork, and of what has to be done before a user namespace is entered.
absl::StatusOr<Launched> Launch(const LaunchRequest& request);

// The first process of a pid namespace that containers share, in the user namespace that they are in: it reaps orphans
// until it is killed.
struct Reaper {
  pid_t pid = 0;
  UniqueFd pidfd;
};
absl::StatusOr<Reaper> LaunchReaper(const PodUsers& users);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_LAUNCH_H_
