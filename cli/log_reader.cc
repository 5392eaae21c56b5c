#include "cli/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace podvisor::cli {

void LogParser::Take(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (too_long_) {
      TakeTooLong(bytes);
      continue;
    }
    // Room for a line's newline too, so that the same lines are too long wherever the bytes are cut.
    const absl::string_view piece = bytes.substr(0, kMaxLine + 1 - rest_.size());
    bytes.remove_prefix(piece.size());
    rest_.append(piece.data(), piece.size());
    size_t start = 0;
    for (size_t end; (end = rest_.find('\n', std::max(start, scanned_))) != std::string::npos; start = end + 1)
      Line(absl::string_view(rest_).substr(start, end - start));
    rest_.erase(0, start);
    scanned_ = rest_.size();
    if (rest_.size() <= kMaxLine) continue;
    sink_(LogStream::kStdout, rest_);
    rest_ = std::string();
    scanned_ = 0;
    too_long_ = true;
  }
}

void LogParser::TakeTooLong(absl::string_view& bytes) {
  const size_t end = bytes.find('\n');
  const absl::string_view piece = bytes.substr(0, end == absl::string_view::npos ? end : end + 1);
  sink_(LogStream::kStdout, piece);
  bytes.remove_prefix(piece.size());
  too_long_ = end == absl::string_view::npos;
}

void LogParser::Line(absl::string_view line) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', 3));
  const bool known =
      fields.size() == 4 && (fields[1] == "stdout" || fields[1] == "stderr") && (fields[2] == "F" || fields[2] == "P");
  if (!known) {
    sink_(LogStream::kStdout, absl::StrCat(line, "\n"));
    return;
  }
  const LogStream stream = fields[1] == "stdout" ? LogStream::kStdout : LogStream::kStderr;
  sink_(stream, fields[3]);
  if (fields[2] == "F") sink_(stream, "\n");
}

absl::StatusOr<LogFollower> LogFollower::Open(const std::string& path, LogParser::Sink sink) {
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.ok()) return ErrnoStatus(errno, "inotify");
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  // The folder, not the file: rotation makes a new file of the same name.
  if (::inotify_add_watch(inotify.get(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
    return ErrnoStatus(errno, absl::StrCat("watch the log folder ", folder));
  return LogFollower(path, std::move(sink), std::move(inotify));
}

absl::Status LogFollower::ReadToEnd() {
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(file_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", path_));
    if (got == 0) return absl::OkStatus();
    parser_.Take({buffer, static_cast<size_t>(got)});
  }
}

absl::Status LogFollower::Drain() {
  for (;;) {
    if (file_.ok()) RETURN_IF_ERROR(ReadToEnd());
    struct stat at_path;
    if (::stat(path_.c_str(), &at_path) != 0) return absl::OkStatus();
    struct stat open_one;
    if (file_.ok() && ::fstat(file_.get(), &open_one) == 0 && open_one.st_ino == at_path.st_ino &&
        open_one.st_dev == at_path.st_dev)
      return absl::OkStatus();
    if (file_.ok()) RETURN_IF_ERROR(ReadToEnd());  // what came between the read above and the rotation
    file_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file_.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path_));
  }
}

void LogFollower::Wait(absl::Duration timeout, int wake_fd) {
  pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {wake_fd, POLLIN, 0}};
  ::poll(fds, 2, static_cast<int>(absl::ToInt64Milliseconds(std::max(timeout, absl::ZeroDuration()))));
  char events[4096];
  while (::read(inotify_.get(), events, sizeof events) > 0) {
  }
}

}  // namespace podvisor::cli
