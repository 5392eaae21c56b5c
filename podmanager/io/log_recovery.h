// Finds out how much of a container's output its log file holds, when the daemon was killed after a checkpoint.
#ifndef PODVISOR_PODMANAGER_IO_LOG_RECOVERY_H_
#define PODVISOR_PODMANAGER_IO_LOG_RECOVERY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "podmanager/io/log_position.h"

namespace podvisor {

struct RecoveredLog {
  LogPosition position;      // path, offsets and ends to go on with; inode and size of the file that was found
  uint64_t bytes_after = 0;  // of whole lines that the file had after the checkpoint
  uint64_t torn_bytes = 0;   // of an unfinished last line, cut off
  // Why `position` may not be exact; empty if it is. Then some output can be in the log twice or not at all.
  std::string doubt;
};

// The file is looked for by its inode: at the path, else (rotated in the meantime) under another name in the same
// folder. The whole lines after the checkpoint's size are counted by stream; a last line without newline is cut off the
// file, since its bytes have not been acknowledged and come again. Assumes that only LogWriter wrote to the file; where
// it can tell that this is not so, it says so in `doubt` and goes on from what is known.
// Errors: the file can't be read or cut.
absl::StatusOr<RecoveredLog> RecoverLog(const LogPosition& checkpoint);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_LOG_RECOVERY_H_
