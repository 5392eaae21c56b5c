// The lines of a CRI log file: "2026-01-01T00:00:00.000000000Z stdout F line\n".
#ifndef PODVISOR_PODMANAGER_IO_LOG_FORMAT_H_
#define PODVISOR_PODMANAGER_IO_LOG_FORMAT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

// Longer lines are split into pieces marked P; containerd's max_container_log_line_size.
inline constexpr size_t kMaxLogLine = 16 << 10;

// "2026-01-01T00:00:00.000000000Z".
std::string LogTimestamp(absl::Time time);

// Appends `data` to `out` as log lines and returns how many of its bytes are in them. A line is F when its newline has
// come, else P: a piece of kMaxLogLine bytes, and, with Tail::kFlush, what is left at the end; so is the last piece of
// a stream that ends without newline, as containerd writes it.
size_t AppendLogLines(OutputStream stream, absl::string_view data, Tail tail, absl::string_view timestamp,
                      std::string* out);

// What one line of a log file, without its newline, stands for in the stream. None if it is no such line.
struct LogLine {
  OutputStream stream = OutputStream::kStdout;
  absl::string_view content;  // a part of the line
  bool full = false;          // F: a newline follows in the stream
  size_t stream_bytes() const { return content.size() + (full ? 1 : 0); }
};
std::optional<LogLine> ParseLogLine(absl::string_view line);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_LOG_FORMAT_H_
