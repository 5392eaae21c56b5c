// From an archive or a folder into the content store.
#ifndef PODVISOR_STORAGE_IMAGE_IMAGE_IMPORT_H_
#define PODVISOR_STORAGE_IMAGE_IMAGE_IMPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/content/content_store.h"
#include "storage/image/image_catalog.h"
#include "storage/image/image_fetcher.h"

namespace podvisor {

struct ImportedImage {
  ResolvedImage image;             // all its blobs are in the content store
  std::vector<std::string> names;  // references found beside it, in full form; may be none
};

// Reads an OCI image layout (`path` is its folder or a tar of it, compressed or not) or a docker-archive ("docker
// save"). Exactly one image for this platform, under any number of names. Archives are unpacked below
// `temporary_folder` first. No name in the archive leads out of it, and symlinks of a folder are not left either.
// kNotFound, kInvalidArgument for something that is neither, kDataLoss for wrong digests.
absl::StatusOr<ImportedImage> ReadImageArchive(const std::string& path, const std::string& temporary_folder,
                                               ContentStore& content, ImageCatalog::Pins& pins);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_IMAGE_IMPORT_H_
