#include "podmanager/io/log_recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "podmanager/io/log_format.h"

namespace podvisor {
namespace {

constexpr size_t kReadBytes = 64 << 10;
// Longer than any line of ours: what a line of another's making may take of memory.
constexpr size_t kMaxLineInFile = 4 * kMaxLogLine;
constexpr int kMaxFolderEntries = 10000;

struct OpenLog {
  UniqueFd fd;
  struct stat info {};
};

// The file at `path` if it has this inode.
std::optional<OpenLog> OpenIfSame(const std::string& path, uint64_t inode) {
  // Looked at before it is opened: a FIFO or device of another must not be.
  OpenLog log;
  if (lstat(path.c_str(), &log.info) != 0 || !S_ISREG(log.info.st_mode) || log.info.st_ino != inode)
    return std::nullopt;
  log.fd.reset(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!log.fd.ok() || fstat(log.fd.get(), &log.info) != 0 || log.info.st_ino != inode) return std::nullopt;
  return log;
}

std::optional<OpenLog> FindLog(const LogPosition& checkpoint) {
  if (auto log = OpenIfSame(checkpoint.path, checkpoint.inode)) return log;
  const std::string folder = checkpoint.path.substr(0, checkpoint.path.rfind('/'));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
  if (dir == nullptr) return std::nullopt;
  for (int i = 0; i < kMaxFolderEntries; ++i) {
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) break;
    if (entry->d_ino != checkpoint.inode) continue;
    if (auto log = OpenIfSame(absl::StrCat(folder, "/", entry->d_name), checkpoint.inode)) return log;
  }
  return std::nullopt;
}

absl::StatusOr<std::string> ReadAt(int fd, uint64_t offset, size_t bytes) {
  std::string data(bytes, '\0');
  ssize_t n;
  do n = pread(fd, data.data(), data.size(), static_cast<off_t>(offset));
  while (n < 0 && errno == EINTR);
  if (n < 0) return ErrnoStatus(errno, "pread");
  data.resize(static_cast<size_t>(n));
  return data;
}

void CountLine(absl::string_view line, RecoveredLog* log) {
  if (std::optional<LogLine> parsed = ParseLogLine(line)) {
    log->position.offset[Index(parsed->stream)] += parsed->stream_bytes();
  } else if (log->doubt.empty()) {
    log->doubt = "the log file holds lines that are not ours";
  }
}

// Counts the whole lines from the checkpoint on; position.size becomes their end. The rest of the file is the torn
// line.
absl::Status CountLines(int fd, RecoveredLog* log) {
  std::string pending;  // the beginning of a line
  uint64_t offset = log->position.size;
  while (true) {
    ASSIGN_OR_RETURN(std::string data, ReadAt(fd, offset, kReadBytes));
    if (data.empty()) return absl::OkStatus();
    offset += data.size();
    pending += data;
    size_t begin = 0;
    for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      CountLine(absl::string_view(pending).substr(begin, end - begin), log);
      log->position.size += end + 1 - begin;
      log->bytes_after += end + 1 - begin;
    }
    pending.erase(0, begin);
    if (pending.size() > kMaxLineInFile) {
      log->doubt = "the log file holds a line that is too long to be ours";
      log->position.size = offset;
      pending.clear();
    }
  }
}

}  // namespace

absl::StatusOr<RecoveredLog> RecoverLog(const LogPosition& checkpoint) {
  RecoveredLog result;
  result.position = checkpoint;
  std::optional<OpenLog> log = FindLog(checkpoint);
  if (!log.has_value()) {
    result.doubt = "the log file is gone";
    return result;
  }
  const uint64_t size = static_cast<uint64_t>(log->info.st_size);
  if (size < checkpoint.size) {
    result.doubt = absl::StrCat("the log file has ", size, " bytes where it had ", checkpoint.size);
    result.position.size = size;
    return result;
  }
  if (checkpoint.size > 0) {
    ASSIGN_OR_RETURN(std::string last, ReadAt(log->fd.get(), checkpoint.size - 1, 1), "log ", checkpoint.path);
    if (last != "\n") {
      result.doubt = "the log file has been changed before its checkpoint";
      result.position.size = size;
      return result;
    }
  }
  RETURN_IF_ERROR(CountLines(log->fd.get(), &result), "log ", checkpoint.path);
  result.torn_bytes = size - result.position.size;
  if (result.torn_bytes > 0 && ftruncate(log->fd.get(), static_cast<off_t>(result.position.size)) != 0)
    return ErrnoStatus(errno, absl::StrCat("log ", checkpoint.path, ": cut off an unfinished line: ftruncate"));
  return result;
}

}  // namespace podvisor
