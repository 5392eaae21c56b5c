#include "podmanager/testing/fake_image_store.h"

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

void FakeImageStore::Add(const std::string& reference, ImageConfig config) {
  absl::MutexLock lock(&mu_);
  Image image;
  image.id = absl::StrCat("sha256:", reference);
  image.repo_tags = {reference};
  image.repo_digests = {absl::StrCat(reference, "@sha256:feed")};
  image.config = std::move(config);
  images_[reference] = std::move(image);
}

absl::StatusOr<Image> FakeImageStore::FindLocked(const std::string& reference) {
  for (const auto& [name, image] : images_) {
    if (name == reference || image.id == reference) return image;
  }
  return absl::NotFoundError(absl::StrCat("image ", reference, " not found"));
}

absl::StatusOr<std::string> FakeImageStore::Pull(const std::string& reference, const PullOptions&) {
  RETURN_IF_ERROR(failpoints_.Enter("Pull"));
  Add(reference, {});
  return absl::StrCat("sha256:", reference);
}

absl::StatusOr<std::string> FakeImageStore::Import(const std::string&, const std::string& name) {
  return Pull(name, {});
}

absl::StatusOr<Image> FakeImageStore::Find(const std::string& reference) {
  RETURN_IF_ERROR(failpoints_.Enter("Find"));
  absl::MutexLock lock(&mu_);
  return FindLocked(reference);
}

std::vector<Image> FakeImageStore::List() {
  absl::MutexLock lock(&mu_);
  std::vector<Image> images;
  for (const auto& [name, image] : images_) images.push_back(image);
  return images;
}

absl::Status FakeImageStore::Remove(const std::string& reference) {
  absl::MutexLock lock(&mu_);
  images_.erase(reference);
  return absl::OkStatus();
}

absl::StatusOr<RootfsLease> FakeImageStore::Lease(const std::string& reference, const std::string& holder) {
  RETURN_IF_ERROR(failpoints_.Enter("Lease"));
  absl::MutexLock lock(&mu_);
  RootfsLease lease;
  ASSIGN_OR_RETURN(lease.image, FindLocked(reference));
  lease.erofs_path = absl::StrCat(folder_, "/", lease.image.id, ".erofs");
  std::ofstream(lease.erofs_path, std::ios::app);
  lease.passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/:/bin/sh\n";
  lease.group = "root:x:0:\nweb:x:44:\n";
  leases_[holder] = lease.image.id;
  return lease;
}

absl::Status FakeImageStore::Release(const std::string& holder) {
  RETURN_IF_ERROR(failpoints_.Enter("Release"));
  absl::MutexLock lock(&mu_);
  leases_.erase(holder);
  return absl::OkStatus();
}

std::vector<std::string> FakeImageStore::LeaseHolders() {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> holders;
  for (const auto& [holder, image] : leases_) holders.push_back(holder);
  return holders;
}

absl::StatusOr<ImageFsUsage> FakeImageStore::FsUsage() { return ImageFsUsage{.mountpoint = "/"}; }

}  // namespace podvisor
