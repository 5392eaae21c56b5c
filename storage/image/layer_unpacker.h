// Applying layers to a tree (OCI image specification, "Image Layer Filesystem Changeset").
#ifndef PODVISOR_STORAGE_IMAGE_LAYER_UNPACKER_H_
#define PODVISOR_STORAGE_IMAGE_LAYER_UNPACKER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/content/digest.h"
#include "storage/image/layer_tree.h"
#include "storage/interruption.h"

namespace podvisor {

// Applies the layer in the file `path` (plain, gzip or zstd tar) to `tree` and returns the digest of its uncompressed
// bytes, which the caller compares with the image's configuration. Needs root: owners, modes with setuid, devices,
// xattrs and times are kept as the tar states them (trusted.overlay.* alone is dropped: it would steer the guest's
// overlay). Whiteouts (.wh.NAME, .wh..wh..opq) act on lower layers, wherever they stand in the tar.
//
// kDataLoss for a malformed tar and for names that lead out, kResourceExhausted if the disk is full or too small for an
// entry; the tree is then to be thrown away.
absl::StatusOr<Digest> ApplyLayer(const std::string& path, const std::string& disk_folder, LayerTree& tree,
                                  const Interruption& interruption);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_LAYER_UNPACKER_H_
