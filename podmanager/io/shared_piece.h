// Bytes on their way into a guest by a file in the sandbox's shared folder.
#ifndef PODVISOR_PODMANAGER_IO_SHARED_PIECE_H_
#define PODVISOR_PODMANAGER_IO_SHARED_PIECE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace podvisor {

// The largest piece: one read by 9p, whose messages are 256 KiB with their headers.
inline constexpr size_t kSharedPieceBytes = 248 << 10;
// How many the guest may have before it: while it reads one, the next one is on its way.
inline constexpr int kSharedPieces = 2;
// Below that a message carries them as fast.
inline constexpr size_t kLeastSharedBytes = 32 << 10;

// A virtio-serial port brings a guest 4 KiB at a time, each with an interrupt; 9p brings a piece by one request, right
// into the reader's memory. The file holds kSharedPieces, and each new one replaces the oldest. It has a name only
// until the guest has opened it, so nothing is left behind if the daemon is killed after that; before, the name goes
// with the shared folder. What the guest does to the file harms only what it reads itself.
//
// Not thread-safe. Put() writes to a tmpfs where the runtime's folder is one, as /run is.
class SharedPiece {
 public:
  // `folder`: the host's path of the shared folder; empty: the guest has none. `name`: one path component, not taken by
  // anything else.
  SharedPiece(std::string folder, std::string name);
  SharedPiece(const SharedPiece&) = delete;
  SharedPiece& operator=(const SharedPiece&) = delete;
  // Removes the name if it is still there, and gives the file's memory back.
  ~SharedPiece();

  // At most kSharedPieceBytes; where in the file they are. The guest must have read all pieces but the last one. An
  // error: nothing can be sent this way.
  absl::StatusOr<uint64_t> Put(absl::string_view bytes);
  // The guest has the file open.
  void Opened();

  const std::string& name() const { return name_; }
  bool usable() const { return !folder_.empty(); }

 private:
  std::string path() const;

  const std::string folder_, name_;
  UniqueFd fd_;
  bool named_ = false;
  int next_ = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_SHARED_PIECE_H_
