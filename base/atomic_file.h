// Files that are never half-written.
#ifndef PODVISOR_BASE_ATOMIC_FILE_H_
#define PODVISOR_BASE_ATOMIC_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

// Replaces `path` by `content` through a temporary file in the same folder and rename(2): readers see the old or the
// new content, never a mixture. Does not sync: after a power cut the file may be the old one.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, mode_t mode);

// The whole of a file. kNotFound if there is none; kResourceExhausted if it has more than `limit` bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit);

}  // namespace podvisor

#endif  // PODVISOR_BASE_ATOMIC_FILE_H_
