// One daemon for a folder.
#ifndef PODVISOR_DAEMON_RUN_LOCK_H_
#define PODVISOR_DAEMON_RUN_LOCK_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor {

// Takes FOLDER/podvisord.lock for as long as the descriptor is open; the kernel lets go when the process ends, however
// it ends. kFailedPrecondition names the process that holds it.
absl::StatusOr<UniqueFd> LockFolder(const std::string& folder);

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_RUN_LOCK_H_
