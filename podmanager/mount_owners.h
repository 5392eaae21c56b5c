// Whose the files of a host path are for the guest.
#ifndef PODVISOR_PODMANAGER_MOUNT_OWNERS_H_
#define PODVISOR_PODMANAGER_MOUNT_OWNERS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/user_namespace.h"
#include "podmanager/config.pb.h"

namespace podvisor {

// A process's user and group, as it makes files.
struct FileMaker {
  uint32_t uid = 0;
  uint32_t gid = 0;
};
// Of /proc/PID/status.
absl::StatusOr<FileMaker> ReadFileMaker(const std::string& proc_status);

// For SharedFolder::Bind(): what the mount's configuration says, and for each of `makers` (the VMM's processes, which
// make a file before they give it to whom the guest says) a user of the file system that no other is mapped to. Empty
// if the mount maps nothing.
IdMappings MountOwners(const MountConfig& mount, const std::vector<FileMaker>& makers);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_MOUNT_OWNERS_H_
