// EROFS images made by mkfs.erofs.
#ifndef PODVISOR_STORAGE_IMAGE_EROFS_BUILDER_H_
#define PODVISOR_STORAGE_IMAGE_EROFS_BUILDER_H_

#include <string>

#include "absl/status/status.h"
#include "storage/content/digest.h"
#include "storage/interruption.h"

namespace podvisor {

// Makes `image`, an EROFS file system of `folder`, synced to disk. The same folder gives the same bytes: times are the
// files' own, the UUID comes from `id`. Uncompressed: reading costs the same as lz4hc, writing much less. At an
// interruption mkfs.erofs is killed. kFailedPrecondition if it is not installed; kResourceExhausted for a full disk.
absl::Status BuildErofs(const std::string& folder, const std::string& image, const Digest& id,
                        const Interruption& interruption);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_EROFS_BUILDER_H_
