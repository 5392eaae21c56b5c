#include "storage/shared_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "storage/content/durable_file.h"

namespace podvisor {
namespace {

constexpr size_t kMaxMountInfo = 64 << 20;

absl::Status CheckName(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || absl::StrContains(name, '/') || absl::StrContains(name, '\0') ||
      name.size() > NAME_MAX)
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not one path component"));
  return absl::OkStatus();
}

// False if there is nothing at `path`, too.
absl::StatusOr<bool> IsMountRoot(const std::string& path) {
  struct statx st = {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return ErrnoStatus(errno, absl::StrCat("statx ", path));
  }
  return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// A mount of the tree at `path` that is nowhere yet.
absl::StatusOr<UniqueFd> CloneTree(const std::string& path, unsigned int recursive) {
  UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive));
  if (!tree.ok()) return ErrnoStatus(errno, absl::StrCat("bind ", path));
  return tree;
}

absl::Status SetAttributes(const UniqueFd& tree, unsigned int recursive, uint64_t set, uint64_t propagation) {
  struct mount_attr attributes = {};
  attributes.attr_set = set;
  attributes.propagation = propagation;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes) != 0)
    return ErrnoStatus(errno, "mount_setattr");
  return absl::OkStatus();
}

// Files of a guest's container root are the host's root's on the disk, without the host's root being it anywhere else.
absl::Status MapOwners(const UniqueFd& tree, const IdMappings& owners) {
  if (owners.uids.empty() && owners.gids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd user_namespace, MakeUserNamespace(owners));
  struct mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(user_namespace.get());
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0)
    return absl::OkStatus();
  return Prefix(ErrnoStatus(errno, "mount_setattr"),
                "map the owners of its files (the kernel must be able to for its file system, and for those mounted "
                "below: ext4, xfs and btrfs from Linux 5.15 on, tmpfs from 6.3 on; use such a volume, or a pod without "
                "a user namespace)");
}

absl::Status Attach(const UniqueFd& tree, const std::string& target) {
  if (::move_mount(tree.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return ErrnoStatus(errno, absl::StrCat("mount on ", target));
  return absl::OkStatus();
}

// All that is stacked on `path`, with what is mounted below. Detached: who still looks at it does not keep it here.
absl::Status Unmount(const std::string& path) {
  for (;;) {
    ASSIGN_OR_RETURN(const bool mounted, IsMountRoot(path));
    if (!mounted) return absl::OkStatus();
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
      return ErrnoStatus(errno, absl::StrCat("unmount ", path));
  }
}

// What the mount goes on: a folder for a folder, an empty file for all else. Nothing is mounted on it.
absl::Status MakeTarget(const std::string& target, mode_t source_mode) {
  RETURN_IF_ERROR(RemoveTree(target));  // of a bind that did not come to its mount
  if (S_ISDIR(source_mode))
    return ::mkdir(target.c_str(), 0755) == 0 ? absl::OkStatus() : DiskStatus(errno, absl::StrCat("mkdir ", target));
  const UniqueFd fd(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  return fd.ok() ? absl::OkStatus() : DiskStatus(errno, absl::StrCat("create ", target));
}

}  // namespace

absl::Status SharedFolder::Create() {
  if (path_.empty() || path_.front() != '/')
    return absl::InvalidArgumentError(absl::StrCat("shared folder: \"", path_, "\" is not an absolute path"));
  if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST)
    return DiskStatus(errno, absl::StrCat("shared folder: mkdir ", path_));
  ASSIGN_OR_RETURN(const bool mounted, IsMountRoot(path_), "shared folder");
  if (mounted) return absl::OkStatus();  // as a whole: it is attached when all about it is set
  ASSIGN_OR_RETURN(const UniqueFd tree, CloneTree(path_, 0), "shared folder");
  // The copy is a peer of the mount it was taken from: what we bind would appear a second time below that one. Private
  // first, then shared, it starts a group of its own.
  RETURN_IF_ERROR(SetAttributes(tree, 0, 0, MS_PRIVATE), "shared folder ", path_);
  RETURN_IF_ERROR(SetAttributes(tree, 0, 0, MS_SHARED), "shared folder ", path_);
  return Prefix(Attach(tree, path_), "shared folder");
}

absl::StatusOr<bool> SharedFolder::HoldsMounts(const std::string& name) const {
  RETURN_IF_ERROR(CheckName(name), "shared folder ", path_);
  ASSIGN_OR_RETURN(const std::string mounts, ReadFile("/proc/self/mountinfo", kMaxMountInfo), "shared folder ", path_);
  // By the path's end: its beginning may be a link or have escapes there.
  return absl::StrContains(mounts, absl::StrCat(path_.substr(path_.rfind('/')), "/", name, "/"));
}

absl::Status SharedFolder::Bind(const std::string& host_path, const std::string& name, MountAccess access,
                                const IdMappings& owners) {
  RETURN_IF_ERROR(CheckName(name), "shared folder ", path_);
  const std::string target = absl::StrCat(path_, "/", name);
  const std::string what = absl::StrCat("shared folder: bind ", host_path, " at ", target);
  ASSIGN_OR_RETURN(const bool created, IsMountRoot(path_), what);
  if (!created) return absl::FailedPreconditionError(absl::StrCat(what, ": the shared folder is not there"));
  ASSIGN_OR_RETURN(const bool bound, IsMountRoot(target), what);
  if (bound) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd tree, CloneTree(host_path, AT_RECURSIVE), what);
  struct stat st;
  if (::fstat(tree.get(), &st) != 0) return ErrnoStatus(errno, absl::StrCat(what, ": stat"));
  // Slaves: what is mounted below the host path later is seen here, but unmounting here never unmounts there. (Attached
  // to a shared mount, they become shared as well and pass all on to the VMM's name space.)
  RETURN_IF_ERROR(SetAttributes(tree, AT_RECURSIVE, 0, MS_SLAVE), what);
  RETURN_IF_ERROR(MapOwners(tree, owners), what);
  switch (access) {
    case MountAccess::kReadWrite:
      break;
    case MountAccess::kReadOnly:
      RETURN_IF_ERROR(SetAttributes(tree, 0, MOUNT_ATTR_RDONLY, 0), what);
      break;
    case MountAccess::kRecursiveReadOnly:
      RETURN_IF_ERROR(SetAttributes(tree, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0), what);
      break;
  }
  RETURN_IF_ERROR(MakeTarget(target, st.st_mode), what);
  return Prefix(Attach(tree, target), what);
}

absl::Status SharedFolder::Unbind(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name), "shared folder ", path_);
  const std::string target = absl::StrCat(path_, "/", name);
  RETURN_IF_ERROR(Unmount(target), "shared folder");
  return Prefix(RemoveTree(target), "shared folder");
}

absl::Status SharedFolder::Destroy() {
  RETURN_IF_ERROR(Unmount(path_), "shared folder");
  // Refuses to enter a mount, should one be left in spite of that.
  return Prefix(RemoveTree(path_), "shared folder");
}

}  // namespace podvisor
