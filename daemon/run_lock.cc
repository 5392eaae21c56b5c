#include "daemon/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {

absl::StatusOr<UniqueFd> LockFolder(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/podvisord.lock");
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, absl::StrCat("flock ", path));
    const absl::StatusOr<std::string> holder = ReadFile(path, 64);
    return absl::FailedPreconditionError(
        absl::StrCat("run_dir ", folder, ": another podvisord runs on it",
                     holder.ok() && !holder->empty() ? absl::StrCat(", process ", *holder) : std::string(),
                     ": stop it, or give this one a run_dir, state_dir and socket of its own"));
  }
  const std::string pid = absl::StrCat(::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    return ErrnoStatus(errno, absl::StrCat("write ", path));
  }
  return fd;
}

}  // namespace podvisor
