#include "vmm/qemu/console_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {

absl::Status ConsoleLog::Append(absl::string_view bytes) {
  if (bytes.size() > limit_) bytes.remove_prefix(bytes.size() - limit_);
  // Opened each time: consoles are quiet, and nothing is held open for a thousand pods.
  UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path_));
  struct stat stat = {};
  if (::fstat(fd.get(), &stat) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path_));
  if (static_cast<size_t>(stat.st_size) + bytes.size() > limit_) {
    if (::rename(path_.c_str(), absl::StrCat(path_, ".1").c_str()) != 0)
      return ErrnoStatus(errno, absl::StrCat("rename ", path_));
    fd = UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path_));
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    if (count < 0) return ErrnoStatus(errno, absl::StrCat("write ", path_));
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

std::string ConsoleLog::Tail(size_t max_bytes) const {
  const size_t most = 2 * limit_;  // more than Append() leaves; another's file is not read whole
  std::string all = ReadFile(path_, most).value_or("");
  if (all.size() < max_bytes) all.insert(0, ReadFile(absl::StrCat(path_, ".1"), most).value_or(""));
  return all.size() > max_bytes ? all.substr(all.size() - max_bytes) : all;
}

}  // namespace podvisor
