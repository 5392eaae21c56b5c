// Ownership of one file descriptor.
#ifndef PODVISOR_BASE_UNIQUE_FD_H_
#define PODVISOR_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace podvisor {

// Owns one descriptor and closes it; move-only. A negative number means none. Not thread-safe.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0 && fd_ != fd) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_UNIQUE_FD_H_
