#include "agent/guest/launch/paths_in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

UniqueFd TryOpen(int root_fd, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "/" : path.c_str();
  long fd;
  do {
    fd = ::syscall(SYS_openat2, root_fd, name, &how, sizeof(how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return UniqueFd(static_cast<int>(fd));
}

absl::Status MakeEntry(int parent_fd, const std::string& name, Missing missing, const std::string& path) {
  if (missing == Missing::kMakeFolder) {
    if (::mkdirat(parent_fd, name.c_str(), 0755) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
    }
    return absl::OkStatus();
  }
  const UniqueFd file(::openat(parent_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("create ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> OpenInRoot(int root_fd, const std::string& path, Missing missing) {
  UniqueFd fd = TryOpen(root_fd, path);
  if (fd.ok()) return fd;
  if (errno != ENOENT || missing == Missing::kFail) return ErrnoStatus(errno, absl::StrCat("open ", path));
  const std::vector<std::string> names = SplitWords(path, "/");
  std::string sofar;
  UniqueFd parent = TryOpen(root_fd, "/");
  for (size_t i = 0; i < names.size(); ++i) {
    sofar += "/" + names[i];
    UniqueFd next = TryOpen(root_fd, sofar);
    if (!next.ok()) {
      if (errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("open ", sofar));
      if (names[i] == "..")
        return absl::InvalidArgumentError(absl::StrCat(path, ": .. below a folder that is missing"));
      RETURN_IF_ERROR(MakeEntry(parent.get(), names[i], i + 1 < names.size() ? Missing::kMakeFolder : missing, sofar));
      next = TryOpen(root_fd, sofar);
      if (!next.ok()) return ErrnoStatus(errno, absl::StrCat("open ", sofar));
    }
    parent = std::move(next);
  }
  return parent;
}

std::string FdPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

}  // namespace podvisor::guest
