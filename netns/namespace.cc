#include "netns/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <exception>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

// setns and unshare change the calling thread for good, so that thread must be one nobody needs afterwards.
absl::Status RunOnThrowAwayThread(const std::function<absl::Status()>& work) {
  absl::Status status;
  try {
    std::thread([&] {
      try {
        status = work();
      } catch (const std::exception& error) {
        status = absl::InternalError(absl::StrCat("work in a namespace: ", error.what()));
      }
    }).join();
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(absl::StrCat("start a thread: ", error.what()));
  }
  return status;
}

}  // namespace

bool IsNamespace(const std::string& path) {
  struct statfs info;
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == NSFS_MAGIC;
}

absl::Status MountNewNamespace(const std::string& path) {
  if (IsNamespace(path)) return absl::OkStatus();
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("create ", path));
  absl::Status status = RunOnThrowAwayThread([&]() -> absl::Status {
    if (::unshare(CLONE_NEWNET) != 0) return ErrnoStatus(errno, "unshare the network (needs CAP_SYS_ADMIN)");
    if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return ErrnoStatus(errno, absl::StrCat("mount the new namespace on ", path));
    return absl::OkStatus();
  });
  if (!status.ok()) ::unlink(path.c_str());
  return status;
}

absl::Status UnmountNamespace(const std::string& path) {
  // More than once: two daemons may have mounted on the same file. EINVAL: nothing is mounted there.
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("unmount ", path));
  // Removing the file also takes copies of the mount in other mount namespaces (a VMM's) away.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("remove ", path));
  return absl::OkStatus();
}

absl::Status RunInNamespace(const std::string& path, const std::function<absl::Status()>& work) {
  if (!IsNamespace(path)) return absl::NotFoundError(absl::StrCat("no network namespace at ", path));
  const UniqueFd target(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!target.ok()) return ErrnoStatus(errno, absl::StrCat("open network namespace ", path));
  return RunOnThrowAwayThread([&]() -> absl::Status {
    if (::setns(target.get(), CLONE_NEWNET) != 0)
      return ErrnoStatus(errno, absl::StrCat("enter network namespace ", path));
    return work();
  });
}

}  // namespace podvisor
