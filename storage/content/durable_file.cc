#include "storage/content/durable_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

// Folders deeper than this are first moved to the top: each level holds a descriptor, and an image may nest them
// without end.
constexpr int kMaxDepth = 32;

struct Removal {
  int top;  // the tree's own folder
  int moved = 0;
};

// By openat2, since a bind mount has the same st_dev as what is around it.
absl::StatusOr<UniqueFd> OpenChild(int folder, const std::string& name) {
  open_how how = {};
  how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  UniqueFd child(static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how)));
  if (child.ok()) return child;
  if (errno == EXDEV) return absl::FailedPreconditionError("is a mount point: not removed");
  return ErrnoStatus(errno, "open");
}

// Empties the folder `fd` (owned), depth first.
absl::Status EmptyFolder(UniqueFd fd, Removal& removal, int depth, const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd.get()), ::closedir);
  if (dir == nullptr) return ErrnoStatus(errno, absl::StrCat("list ", path));
  const int dir_fd = fd.release();  // closedir() closes it
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat st;
    if (::fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
    if (!S_ISDIR(st.st_mode)) {
      if (::unlinkat(dir_fd, name.c_str(), 0) != 0 && errno != ENOENT)
        return ErrnoStatus(errno, absl::StrCat("remove ", path, "/", name));
      continue;
    }
    if (depth >= kMaxDepth) {
      const std::string shallow = absl::StrCat(".moved-", ::getpid(), "-", removal.moved++);
      if (::renameat(dir_fd, name.c_str(), removal.top, shallow.c_str()) != 0)
        return ErrnoStatus(errno, absl::StrCat("move ", path, "/", name));
      continue;
    }
    ASSIGN_OR_RETURN(UniqueFd child, OpenChild(dir_fd, name), path, "/", name);
    RETURN_IF_ERROR(EmptyFolder(std::move(child), removal, depth + 1, absl::StrCat(path, "/", name)));
    if (::unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return ErrnoStatus(errno, absl::StrCat("remove ", path, "/", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DiskStatus(int error_number, const std::string& call) {
  if (error_number == ENOSPC || error_number == EDQUOT)
    return absl::ResourceExhaustedError(
        absl::StrCat(call, ": the disk of the image store is full: remove images or make room"));
  return ErrnoStatus(error_number, call);
}

absl::Status WriteFully(int fd, absl::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return DiskStatus(errno, absl::StrCat("write ", path));
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncPath(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (::fsync(fd.get()) != 0) return DiskStatus(errno, absl::StrCat("sync ", path));
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return DiskStatus(errno, absl::StrCat("mkdir ", part));
    if (slash == std::string::npos) return absl::OkStatus();
  }
}

absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (dir == nullptr) return ErrnoStatus(errno, absl::StrCat("list ", path));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

absl::StatusOr<uint64_t> AvailableBytes(const std::string& path) {
  struct statvfs st;
  if (::statvfs(path.c_str(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("statvfs ", path));
  return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

absl::StatusOr<TreeUsage> MeasureTree(const std::string& path) {
  // fts keeps one folder open at a time, however deep it goes.
  char* const roots[] = {const_cast<char*>(path.c_str()), nullptr};
  std::unique_ptr<FTS, int (*)(FTS*)> fts(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr),
                                          ::fts_close);
  if (fts == nullptr) return ErrnoStatus(errno, absl::StrCat("measure ", path));
  TreeUsage usage;
  while (const FTSENT* entry = ::fts_read(fts.get())) {
    // What vanishes while we look is not there.
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) continue;
    usage.bytes += static_cast<uint64_t>(entry->fts_statp->st_blocks) * 512;
    ++usage.inodes;
  }
  return usage;
}

absl::Status RemoveTree(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0)
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, absl::StrCat("stat ", path));
  if (S_ISDIR(st.st_mode)) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
    for (Removal removal{fd.get()};;) {
      const int before = removal.moved;
      UniqueFd copy(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!copy.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
      RETURN_IF_ERROR(EmptyFolder(std::move(copy), removal, 0, path));
      if (removal.moved == before) break;
    }
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("rmdir ", path));
    return absl::OkStatus();
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("unlink ", path));
  return absl::OkStatus();
}

}  // namespace podvisor
