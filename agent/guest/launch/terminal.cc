#include "agent/guest/launch/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/status_macros.h"

namespace podvisor::guest {

absl::StatusOr<Terminal> OpenTerminal(const grpc::Box& size) {
  Terminal terminal;
  terminal.master.reset(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.master.ok()) return ErrnoStatus(errno, "open /dev/pts/ptmx");
  int unlocked = 0;
  unsigned number = 0;
  if (::ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0 ||
      ::ioctl(terminal.master.get(), TIOCGPTN, &number) != 0) {
    return ErrnoStatus(errno, "unlock the terminal");
  }
  terminal.slave_path = absl::StrCat("/dev/pts/", number);
  terminal.slave.reset(::open(terminal.slave_path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave.ok()) return ErrnoStatus(errno, absl::StrCat("open ", terminal.slave_path));
  if (size.height() != 0 || size.width() != 0) {
    RETURN_IF_ERROR(ResizeTerminal(terminal.master.get(), size.height(), size.width()));
  }
  return terminal;
}

absl::Status BindConsole(const Terminal& terminal) {
  const UniqueFd console(::open("/dev/console", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600));
  if (!console.ok()) return ErrnoStatus(errno, "create /dev/console");
  if (::mount(terminal.slave_path.c_str(), "/dev/console", nullptr, MS_BIND, nullptr) != 0) {
    return ErrnoStatus(errno, "bind the terminal on /dev/console");
  }
  return absl::OkStatus();
}

absl::Status UseTerminal(const Terminal& terminal) {
  if (::ioctl(terminal.slave.get(), TIOCSCTTY, 0) != 0) return ErrnoStatus(errno, "controlling terminal");
  for (int fd = 0; fd <= 2; ++fd) {
    if (::dup2(terminal.slave.get(), fd) < 0) return ErrnoStatus(errno, "dup2 of the terminal");
  }
  return absl::OkStatus();
}

absl::Status ResizeTerminal(int fd, uint32_t rows, uint32_t columns) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  if (::ioctl(fd, TIOCSWINSZ, &size) != 0) return ErrnoStatus(errno, "resize the terminal");
  return absl::OkStatus();
}

}  // namespace podvisor::guest
