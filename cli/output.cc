#include "cli/output.h"

#include <errno.h>
#include <unistd.h>

namespace podvisor::cli {

void PrintLog(LogStream stream, absl::string_view bytes) {
  const int fd = stream == LogStream::kStdout ? STDOUT_FILENO : STDERR_FILENO;
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno != EINTR) return;  // nobody reads any more: as the program itself would find out
    if (put > 0) bytes.remove_prefix(static_cast<size_t>(put));
  }
}

}  // namespace podvisor::cli
