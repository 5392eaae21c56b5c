// Reads a guest's console from the socket that QEMU offers it at.
#ifndef PODVISOR_VMM_QEMU_CONSOLE_READER_H_
#define PODVISOR_VMM_QEMU_CONSOLE_READER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/event_loop.h"

namespace podvisor {

// Copies to a ConsoleLog on the event loop, at most a few hundred KiB a second: a guest that writes faster waits. QEMU
// drops what is written while nobody reads, so a daemon that is away costs output, never the guest. Thread-safe.
class ConsoleReader {
 public:
  // kUnavailable if nobody listens at `socket_path`.
  static absl::StatusOr<std::unique_ptr<ConsoleReader>> Start(EventLoop& loop, const std::string& socket_path,
                                                              const std::string& log_path);
  ~ConsoleReader();

  // Only in the event loop, once the VMM has ended: takes what it wrote at last.
  void Drain();

 private:
  class Session;
  explicit ConsoleReader(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  std::shared_ptr<Session> session_;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_CONSOLE_READER_H_
