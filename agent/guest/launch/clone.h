// fork() with what clone3 adds. The agent has one thread, so the child may do everything that a program may.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_CLONE_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_CLONE_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// 0 in the child. `cgroup_fd` is the group it is born into; -1: that of the caller.
absl::StatusOr<pid_t> Clone(uint64_t flags, int cgroup_fd, UniqueFd* pidfd);

// The same from a place that the caller can't come back from, as a user namespace is: a child in between goes there by
// `go`, makes the process with `flags`, and ends. That process is the caller's child, and has what `go` has left.
// Waits for the one in between. An error of `go` is returned here, and nothing is left.
absl::StatusOr<pid_t> CloneFrom(absl::FunctionRef<absl::Status()> go, uint64_t flags, int cgroup_fd, UniqueFd* pidfd);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_CLONE_H_
