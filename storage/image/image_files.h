// An image's file system on disk, and how it is made of its layers.
#ifndef PODVISOR_STORAGE_IMAGE_IMAGE_FILES_H_
#define PODVISOR_STORAGE_IMAGE_IMAGE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/content/content_store.h"
#include "storage/content/digest.h"
#include "storage/interruption.h"

namespace podvisor {

// The tree below the image store's root. What is in tmp/ and trash/ belongs to nobody after a restart.
//   blobs/sha256/HEX          configurations, manifests and compressed layers
//   images/HEX/rootfs.erofs   HEX: the image's id; the folder appears when it is complete
//   images/HEX/passwd, group  of the image, empty if it has none
//   tmp/, trash/
class ImageFiles {
 public:
  explicit ImageFiles(std::string root) : root_(std::move(root)) {}

  std::string root() const { return root_; }
  std::string images() const { return root_ + "/images"; }
  std::string tmp() const { return root_ + "/tmp"; }
  std::string trash() const { return root_ + "/trash"; }
  std::string Folder(const Digest& id) const { return images() + "/" + id.hex(); }
  std::string Erofs(const Digest& id) const { return Folder(id) + "/rootfs.erofs"; }
  bool IsBuilt(const Digest& id) const;

  // Applies the layers (blobs of `content`, base first) and compares each with its diff id, makes the EROFS image and
  // publishes it. All is synced when this returns. kDataLoss if a layer is not what the configuration says.
  absl::Status Build(const Digest& id, const ContentStore& content, const std::vector<Digest>& layers,
                     const std::vector<Digest>& diff_ids, const Interruption& interruption) const;

 private:
  const std::string root_;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_IMAGE_FILES_H_
