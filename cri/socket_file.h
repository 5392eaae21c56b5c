// The file of a listening Unix socket.
#ifndef PODVISOR_CRI_SOCKET_FILE_H_
#define PODVISOR_CRI_SOCKET_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace podvisor::cri {

// Makes way for a new socket at `path`: removes a socket that nobody listens on. kFailedPrecondition if somebody does,
// or if there is something else than a socket; kInvalidArgument for a path that is too long for a socket.
absl::Status ClearSocketPath(const std::string& path);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_SOCKET_FILE_H_
