// A thread that may write in one folder only, for tests that let somebody else choose paths.
#ifndef PODVISOR_BASE_TESTING_ONLY_WRITABLE_H_
#define PODVISOR_BASE_TESTING_ONLY_WRITABLE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace podvisor {

// For the calling thread alone: `folder` (absolute, exists) becomes a tmpfs of at most 64 MiB, without devices, and all
// else is read-only but the folders in `as_they_are`. Writing anywhere else fails with EROFS. Can't be undone. Needs
// root: kPermissionDenied.
absl::Status MakeOnlyWritable(const std::string& folder, const std::vector<std::string>& as_they_are);

}  // namespace podvisor

#endif  // PODVISOR_BASE_TESTING_ONLY_WRITABLE_H_
