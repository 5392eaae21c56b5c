// What the guest writes to its console, kept in files that cannot grow.
#ifndef PODVISOR_VMM_QEMU_CONSOLE_LOG_H_
#define PODVISOR_VMM_QEMU_CONSOLE_LOG_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace podvisor {

// PATH holds what came last, PATH.1 what came before it; each at most `limit` bytes. Both survive the daemon. Not
// thread-safe; a second object on the same path may read.
class ConsoleLog {
 public:
  static constexpr size_t kLimit = 256 << 10;  // bytes

  explicit ConsoleLog(std::string path, size_t limit = kLimit) : path_(std::move(path)), limit_(limit) {}

  absl::Status Append(absl::string_view bytes);
  // The last bytes of both, at most `max_bytes`; empty if there is nothing or it can't be read.
  std::string Tail(size_t max_bytes) const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  size_t limit_;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_CONSOLE_LOG_H_
