// The one host folder that a VM's guest sees, and the host paths that are bound into it for its containers.
#ifndef PODVISOR_STORAGE_SHARED_FOLDER_H_
#define PODVISOR_STORAGE_SHARED_FOLDER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/user_namespace.h"

namespace podvisor {

// As CRI has it: kReadOnly leaves mounts below the host path as they are, kRecursiveReadOnly (CRI's
// recursive_read_only) does not, save for those that are mounted there later.
enum class MountAccess { kReadWrite, kReadOnly, kRecursiveReadOnly };

// A mount point of its own at `path` (a bind mount on itself, with shared propagation) so that what is bound below it
// later reaches a VMM that has it as a slave in its own mount namespace. Not thread-safe; one per sandbox. Holds no
// state: made anew from the same path after a restart. The destructor leaves everything in place.
class SharedFolder {
 public:
  explicit SharedFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  // Idempotent.
  absl::Status Create();

  // Whether anything is mounted below what is bound at `name`.
  absl::StatusOr<bool> HoldsMounts(const std::string& name) const;

  // Binds `host_path` (file, folder, socket or device; symlinks are resolved; with the mounts below it, those made
  // later too) at `name`, one path component. Idempotent for the same name. kNotFound if the host path does not exist,
  // kFailedPrecondition before Create(). Read-only is enforced here, on the host.
  //
  // `owners`: the VMM sees a file of the owner `inside` as one of `outside`, and what it makes for `outside` belongs to
  // `inside` on the disk; that goes for mounts below as well, save for those that are made later. Empty: as they are.
  // kInvalidArgument if a file system can't be mapped.
  absl::Status Bind(const std::string& host_path, const std::string& name, MountAccess access,
                    const IdMappings& owners = {});

  // Success if it is not bound.
  absl::Status Unbind(const std::string& name);

  // Unmounts everything below and the folder itself, then removes it. Idempotent. Never deletes through a mount.
  absl::Status Destroy();

 private:
  std::string path_;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_SHARED_FOLDER_H_
