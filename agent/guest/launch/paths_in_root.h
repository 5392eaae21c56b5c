// Paths of a container's file system, before it is anybody's root: symlinks and .. in it never lead outside.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_PATHS_IN_ROOT_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_PATHS_IN_ROOT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

enum class Missing { kFail, kMakeFolder, kMakeFile };

// An O_PATH descriptor of `path` under `root_fd`. kMakeFile and kMakeFolder make it and the folders above it.
absl::StatusOr<UniqueFd> OpenInRoot(int root_fd, const std::string& path, Missing missing);

// "/proc/self/fd/N", for calls that take paths only.
std::string FdPath(int fd);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_PATHS_IN_ROOT_H_
