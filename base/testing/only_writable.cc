#include "base/testing/only_writable.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

absl::Status SetReadOnly(const std::string& path, bool read_only, unsigned flags) {
  mount_attr attributes = {};
  (read_only ? attributes.attr_set : attributes.attr_clr) = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, path.c_str(), flags, &attributes, sizeof attributes) != 0)
    return ErrnoStatus(errno, absl::StrCat("mount_setattr ", path));
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeOnlyWritable(const std::string& folder, const std::vector<std::string>& as_they_are) {
  if (::geteuid() != 0) return absl::PermissionDeniedError("a mount namespace needs root");
  if (::unshare(CLONE_NEWNS) != 0) return ErrnoStatus(errno, "unshare");
  if (::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return ErrnoStatus(errno, "make mounts private");
  for (const std::string& kept : as_they_are)
    if (::mount(kept.c_str(), kept.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return ErrnoStatus(errno, absl::StrCat("bind ", kept));
  // After the binds, which would cover it.
  if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,nr_inodes=20000") != 0)
    return ErrnoStatus(errno, absl::StrCat("mount tmpfs on ", folder));
  RETURN_IF_ERROR(SetReadOnly("/", true, AT_RECURSIVE));
  RETURN_IF_ERROR(SetReadOnly(folder, false, 0));
  for (const std::string& kept : as_they_are) RETURN_IF_ERROR(SetReadOnly(kept, false, 0));
  // The current folder is still that of the mounts as they were.
  char current[4096];
  if (::getcwd(current, sizeof current) == nullptr || ::chdir(current) != 0) return ErrnoStatus(errno, "chdir");
  return absl::OkStatus();
}

}  // namespace podvisor
