// Reading a container's log file in CRI's format.
#ifndef PODVISOR_CLI_LOG_READER_H_
#define PODVISOR_CLI_LOG_READER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace podvisor::cli {

enum class LogStream { kStdout, kStderr };

// Takes bytes of a log file in any pieces and gives back what the program wrote. A line is
// "RFC3339-TIME STREAM TAG TEXT\n"; with tag P the text is a part of a line, so no newline is added. Lines of another
// shape, or longer than kMaxLine, are passed on as they are, to stdout. Holds at most kMaxLine bytes. Not thread-safe.
class LogParser {
 public:
  static constexpr size_t kMaxLine = 1 << 20;
  using Sink = std::function<void(LogStream stream, absl::string_view bytes)>;
  explicit LogParser(Sink sink) : sink_(std::move(sink)) {}

  void Take(absl::string_view bytes);

 private:
  // Takes what belongs to a line that is too long.
  void TakeTooLong(absl::string_view& bytes);
  void Line(absl::string_view line);

  Sink sink_;
  std::string rest_;
  size_t scanned_ = 0;     // no newline in so much of rest_
  bool too_long_ = false;  // what comes up to the next newline belongs to a line that has been passed on
};

// Follows a log file that is still written, over its being renamed and made anew. Not thread-safe.
class LogFollower {
 public:
  // `path` need not exist yet; its folder has to.
  static absl::StatusOr<LogFollower> Open(const std::string& path, LogParser::Sink sink);

  // Passes on what is there.
  absl::Status Drain();
  // Blocks until something may have been written, `wake_fd` (-1: none) is readable or `timeout` is over.
  void Wait(absl::Duration timeout, int wake_fd);

 private:
  LogFollower(std::string path, LogParser::Sink sink, UniqueFd inotify)
      : path_(std::move(path)), parser_(std::move(sink)), inotify_(std::move(inotify)) {}
  absl::Status ReadToEnd();

  std::string path_;
  LogParser parser_;
  UniqueFd inotify_;
  UniqueFd file_;
};

}  // namespace podvisor::cli

#endif  // PODVISOR_CLI_LOG_READER_H_
