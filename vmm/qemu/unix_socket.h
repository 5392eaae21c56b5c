// Unix stream sockets by path, of any length.
#ifndef PODVISOR_VMM_QEMU_UNIX_SOCKET_H_
#define PODVISOR_VMM_QEMU_UNIX_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor {

// A listening socket at `path`, mode 0600; what is there is replaced. Whoever inherits the descriptor accepts.
absl::StatusOr<UniqueFd> ListenUnix(const std::string& path);

// A connected, non-blocking socket. kUnavailable if nobody listens.
absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_UNIX_SOCKET_H_
