// Manifests, indexes and image configurations (OCI image specification; Docker image manifest version 2, schema 2).
#ifndef PODVISOR_STORAGE_IMAGE_MANIFEST_H_
#define PODVISOR_STORAGE_IMAGE_MANIFEST_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/content/digest.h"
#include "storage/image_store.h"

namespace podvisor {

inline constexpr size_t kMaxManifestBytes = 4 << 20;
inline constexpr size_t kMaxConfigBytes = 8 << 20;

struct Platform {
  std::string os, architecture, variant;
};
// What images must be for to run here: linux on the architecture of this build, in OCI's words.
Platform OwnPlatform();

struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  Platform platform;  // of a manifest in an index; empty if not stated
  std::map<std::string, std::string> annotations;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // base first; all tars, plain or compressed by gzip or zstd
};
struct ImageIndex {
  std::vector<Descriptor> manifests;
};

// `content_type` (of HTTP) counts only where the document has no mediaType. kUnimplemented for schema 1, foreign layers
// and artifacts; kDataLoss for what is malformed or both manifest and index. At most 512 layers.
absl::StatusOr<std::variant<Manifest, ImageIndex>> ParseManifest(absl::string_view content,
                                                                 absl::string_view content_type);

// The entry for `own`: exact variant first, then none stated or the architecture's base, then any; last those without a
// platform. kNotFound names what there is.
absl::StatusOr<Descriptor> SelectPlatform(const ImageIndex& index, const Platform& own);

struct ParsedConfig {
  ImageConfig config;
  Platform platform;
  std::vector<Digest> diff_ids;  // of the uncompressed layers, base first
};
absl::StatusOr<ParsedConfig> ParseImageConfig(absl::string_view content);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_MANIFEST_H_
