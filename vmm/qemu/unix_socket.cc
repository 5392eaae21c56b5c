#include "vmm/qemu/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

// An address that names `path` whatever its length: through a descriptor of its folder.
struct ShortAddress {
  UniqueFd folder;
  sockaddr_un address = {};
};

absl::StatusOr<ShortAddress> AddressOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return absl::InvalidArgumentError(absl::StrCat("socket ", path, ": not absolute"));
  const std::string folder = path.substr(0, slash + 1);
  ShortAddress result;
  result.folder = UniqueFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!result.folder.ok()) return ErrnoStatus(errno, absl::StrCat("open ", folder));
  const std::string name = absl::StrCat("/proc/self/fd/", result.folder.get(), path.substr(slash));
  result.address.sun_family = AF_UNIX;
  if (name.size() >= sizeof result.address.sun_path)
    return absl::InvalidArgumentError(absl::StrCat("socket ", path, ": its name is too long"));
  ::memcpy(result.address.sun_path, name.data(), name.size());
  return result;
}

}  // namespace

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const ShortAddress at, AddressOf(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("unlink ", path));
  // The mode of the descriptor's inode becomes that of the file: no window with a wider one.
  if (::fchmod(fd.get(), 0600) != 0) return ErrnoStatus(errno, "fchmod of a socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at.address), sizeof at.address) != 0)
    return ErrnoStatus(errno, absl::StrCat("bind ", path));
  if (::listen(fd.get(), 4) != 0) return ErrnoStatus(errno, absl::StrCat("listen ", path));
  return fd;
}

absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const ShortAddress at, AddressOf(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at.address), sizeof at.address) != 0)
    return absl::UnavailableError(absl::StrCat("connect to ", path, ": ", ::strerror(errno)));
  return fd;
}

}  // namespace podvisor
