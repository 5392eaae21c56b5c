// CRI log files: "2026-01-01T00:00:00.000000000Z stdout F line\n".
#ifndef PODVISOR_PODMANAGER_IO_LOG_WRITER_H_
#define PODVISOR_PODMANAGER_IO_LOG_WRITER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

// Longer lines are split into pieces marked P; containerd's max_container_log_line_size.
inline constexpr size_t kMaxLogLine = 16 << 10;

// One piece of the output as a log line. A piece that ends with a newline is a full line (F), any other a partial one
// (P): also the last one of a stream that ends without newline, as containerd writes it.
void AppendLogLine(absl::Time now, OutputStream stream, absl::string_view piece, std::string* out);

// Where a log stands: what has been written so far, per stream.
struct LogPosition {
  std::string path;
  uint64_t inode = 0;
  uint64_t size = 0;                 // of the file
  std::array<uint64_t, 2> offset{};  // bytes of the stream in the log, by OutputStream
  std::array<bool, 2> ended{};
};

// Appends to one log file, each batch of lines by one write(2). All calls in the event loop's thread.
//
// When the disk is full (or fails otherwise) the lines are kept, the stream's data stays untaken, which stops the guest
// when its buffers are full, and the write is tried again with growing pauses; said once in the daemon's log.
class LogWriter : public OutputSink {
 public:
  // Makes the position durable (StateDb). Called before the first byte, about every MiB, at Reopen() and at the end.
  using Checkpoint = std::function<absl::Status(const LogPosition&)>;
  struct Options {
    std::string sandbox_id, container_id;  // for log lines
    LogPosition start;                     // path, offsets and ends; inode and size are found by opening
    uint64_t checkpoint_bytes = 1 << 20;
    absl::Duration first_backoff = absl::Milliseconds(100);  // doubled up to max_backoff
    absl::Duration max_backoff = absl::Seconds(10);
  };

  // Opens or creates the file (mode 0640) and its folder (0755).
  static absl::StatusOr<std::shared_ptr<LogWriter>> Open(EventLoop& loop, Options options, Checkpoint checkpoint);

  void Write(OutputStream stream, std::string data, Tail tail, std::function<void(size_t)> taken) override = 0;
  void End(OutputStream stream) override = 0;

  // Goes on in a new file at the same path: the old one has been renamed. On an error the old file stays in use.
  virtual absl::Status Reopen() = 0;
  virtual const LogPosition& position() const = 0;
  // Forgets what waits for the disk, without answering.
  virtual void Close() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_LOG_WRITER_H_
