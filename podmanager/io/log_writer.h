// Writes CRI log files.
#ifndef PODVISOR_PODMANAGER_IO_LOG_WRITER_H_
#define PODVISOR_PODMANAGER_IO_LOG_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "podmanager/io/log_position.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

struct LogWriterOptions {
  std::string sandbox_id, container_id;  // for the daemon's log
  LogPosition start;                     // path, offsets and ends; inode and size are found by opening
  uint64_t checkpoint_bytes = 1 << 20;
  absl::Duration first_backoff = absl::Milliseconds(100);  // doubled up to max_backoff
  absl::Duration max_backoff = absl::Seconds(10);
};

// Appends to one log file, each batch of lines by one write(2), whole or not at all. All calls after Open() in the
// event loop's thread. The destructor closes the file and drops what waits.
//
// When the disk is full (or fails otherwise) the lines are kept, the stream's data stays untaken, which stops the guest
// when its buffers are full, and the write is tried again with growing pauses; said once in the daemon's log.
class LogWriter : public OutputSink {
 public:
  // Makes the position durable. Called by Open() before the first byte, about every MiB, by Reopen() and at the end of
  // a stream. An error is fatal to Open() and Reopen() only: else the next restart has more of the file to read.
  using Checkpoint = std::function<absl::Status(const LogPosition&)>;

  // Opens or creates the file (mode 0640) and its folder (0755).
  static absl::StatusOr<std::shared_ptr<LogWriter>> Open(EventLoop& loop, LogWriterOptions options,
                                                         Checkpoint checkpoint);

  // Goes on in a new file at the same path: the old one has been renamed. What waits for the disk goes to the new file.
  // On an error the old file stays in use.
  virtual absl::Status Reopen() = 0;

  virtual const LogPosition& position() const = 0;

  // Drops what waits for the disk, without answering, and whatever comes after.
  virtual void Close() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_LOG_WRITER_H_
