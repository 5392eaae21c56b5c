// Where a container's log stands.
#ifndef PODVISOR_PODMANAGER_IO_LOG_POSITION_H_
#define PODVISOR_PODMANAGER_IO_LOG_POSITION_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

// What has been written so far. `offset` and `ended` are by OutputStream.
struct LogPosition {
  std::string path;
  uint64_t inode = 0;
  uint64_t size = 0;                 // of the file, in bytes
  std::array<uint64_t, 2> offset{};  // bytes of the stream that are in the log
  std::array<bool, 2> ended{};       // the stream has no more

  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

inline size_t Index(OutputStream stream) { return stream == OutputStream::kStdout ? 0 : 1; }

// As a LogCheckpoint, for the state database. kDataLoss if `record` is none.
std::string SerializePosition(const LogPosition& position);
absl::StatusOr<LogPosition> ParsePosition(const std::string& record);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_LOG_POSITION_H_
