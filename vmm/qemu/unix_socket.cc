#include "vmm/qemu/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unix_path.h"

namespace podvisor {
namespace {

sockaddr_un AddressOf(const UnixPath& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, path.name().data(), path.name().size());  // it fits: UnixPath's promise
  return address;
}

}  // namespace

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const UnixPath short_path, UnixPath::For(path));
  const sockaddr_un address = AddressOf(short_path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("unlink ", path));
  // The mode of the descriptor's inode becomes that of the file: no window with a wider one.
  if (::fchmod(fd.get(), 0600) != 0) return ErrnoStatus(errno, "fchmod of a socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return ErrnoStatus(errno, absl::StrCat("bind ", path));
  if (::listen(fd.get(), 4) != 0) return ErrnoStatus(errno, absl::StrCat("listen ", path));
  return fd;
}

absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const UnixPath short_path, UnixPath::For(path));
  const sockaddr_un address = AddressOf(short_path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return absl::UnavailableError(absl::StrCat("connect to ", path, ": ", ::strerror(errno)));
  return fd;
}

}  // namespace podvisor
