#include "podmanager/io/shared_piece.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

SharedPiece::SharedPiece(std::string folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

SharedPiece::~SharedPiece() {
  Opened();
  // The guest may keep it open for as long as the program runs.
  if (fd_.ok() && ::ftruncate(fd_.get(), 0) != 0) spdlog::debug("truncate {}: {}", path(), ::strerror(errno));
}

absl::StatusOr<uint64_t> SharedPiece::Put(absl::string_view bytes) {
  if (!usable()) return absl::FailedPreconditionError("the guest has no shared folder");
  if (bytes.size() > kSharedPieceBytes) {
    return absl::InvalidArgumentError(absl::StrCat(bytes.size(), " bytes are more than one piece"));
  }
  if (!fd_.ok()) {
    // New, and no link: the guest may have put anything into this folder.
    fd_.reset(::open(path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
    if (!fd_.ok()) return ErrnoStatus(errno, absl::StrCat("create ", path()));
    named_ = true;
  }
  const uint64_t offset = static_cast<uint64_t>(next_) * kSharedPieceBytes;
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t put =
        ::pwrite(fd_.get(), bytes.data() + written, bytes.size() - written, static_cast<off_t>(offset + written));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, absl::StrCat("write ", path()));
    written += static_cast<size_t>(put);
  }
  next_ = (next_ + 1) % kSharedPieces;
  return offset;
}

void SharedPiece::Opened() {
  if (std::exchange(named_, false)) ::unlink(path().c_str());
}

std::string SharedPiece::path() const { return absl::StrCat(folder_, "/", name_); }

}  // namespace podvisor
