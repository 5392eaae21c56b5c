#include "agent/guest/launch/pod_users.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {
namespace {

std::vector<IdRange> Ranges(const OciIdMappings& mappings) {
  std::vector<IdRange> ranges;
  for (const grpc::LinuxIDMapping& mapping : mappings) {
    ranges.push_back({.inside = mapping.containerid(), .outside = mapping.hostid(), .count = mapping.size()});
  }
  return ranges;
}

}  // namespace

IdMappings FromOci(const OciIdMappings& uids, const OciIdMappings& gids) {
  return {.uids = Ranges(uids), .gids = Ranges(gids)};
}

bool HasUserNamespace(const grpc::Spec& spec) {
  return std::any_of(spec.linux().namespaces().begin(), spec.linux().namespaces().end(),
                     [](const grpc::LinuxNamespace& space) { return space.type() == "user"; });
}

absl::Status GiveToRoot(const PodUsers& users, const std::string& path) {
  if (!users.AreMapped() || ::lchown(path.c_str(), users.root_uid, users.root_gid) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("owner of ", path));
}

void GiveToRoot(const PodUsers& users, int fd) {
  if (users.AreMapped()) (void)!::fchown(fd, users.root_uid, users.root_gid);
}

absl::Status BecomeNamespaceRoot(int fd) {
  if (::setns(fd, CLONE_NEWUSER) != 0) return ErrnoStatus(errno, "join the pod's user namespace");
  return BecomeRoot();
}

absl::Status BecomeRoot() {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) {
    return ErrnoStatus(errno, "become root of the pod's user namespace");
  }
  return absl::OkStatus();
}

absl::Status MapOwners(const PodUsers& users, const std::string& path) {
  const UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.ok()) return ErrnoStatus(errno, absl::StrCat("map the owners of ", path, ": open_tree"));
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(users.fd);
  attr.propagation = MS_PRIVATE;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("map the owners of ", path, ": mount_setattr"));
  }
  // In its place, not over it: that would appear wherever this one came from.
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("map the owners of ", path, ": umount"));
  }
  if (::move_mount(tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, absl::StrCat("map the owners of ", path, ": move_mount"));
  }
  return absl::OkStatus();
}

}  // namespace podvisor::guest
