#include "cri/testing/fake_image_store.h"

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace podvisor::cri {

void FakeImageStore::AddToRegistry(const std::string& reference, const Image& image) {
  absl::MutexLock lock(&mu_);
  registry_[reference] = image;
}

RegistryAuth FakeImageStore::last_auth() {
  absl::MutexLock lock(&mu_);
  return last_auth_;
}

absl::StatusOr<std::string> FakeImageStore::Pull(const std::string& reference, const PullOptions& options) {
  if (reference == "stalled") {
    stalled_.Notify();
    while (options.cancelled == nullptr || !*options.cancelled) {
      if (absl::Now() > options.deadline) return absl::DeadlineExceededError("pull: the deadline has passed");
      std::this_thread::yield();
    }
    return absl::CancelledError("pull: nobody waits for it");
  }
  absl::MutexLock lock(&mu_);
  last_auth_ = options.auth;
  const auto found = registry_.find(reference);
  if (found == registry_.end()) return absl::NotFoundError(absl::StrCat("image ", reference, ": not in the registry"));
  if (options.progress) {
    options.progress({.bytes_done = 0, .bytes_total = found->second.size_bytes, .stage = "pulling"});
    options.progress(
        {.bytes_done = found->second.size_bytes, .bytes_total = found->second.size_bytes, .stage = "done"});
  }
  images_[reference] = found->second;
  return found->second.id;
}

absl::StatusOr<std::string> FakeImageStore::Import(const std::string& path, const std::string& name) {
  absl::MutexLock lock(&mu_);
  if (!std::filesystem::exists(path)) return absl::NotFoundError(absl::StrCat("import ", path, ": no such file"));
  Image image;
  image.id = absl::StrCat("sha256:", std::string(64, 'f'));
  const std::string reference = name.empty() ? "imported" : name;
  image.repo_tags = {reference};
  images_[reference] = image;
  return image.id;
}

absl::StatusOr<Image> FakeImageStore::Find(const std::string& reference) {
  absl::MutexLock lock(&mu_);
  for (const auto& [name, image] : images_) {
    if (name == reference || image.id == reference) return image;
  }
  return absl::NotFoundError(absl::StrCat("image ", reference, ": not found"));
}

std::vector<Image> FakeImageStore::List() {
  absl::MutexLock lock(&mu_);
  std::vector<Image> all;
  for (const auto& [name, image] : images_) all.push_back(image);
  return all;
}

absl::Status FakeImageStore::Remove(const std::string& reference) {
  absl::MutexLock lock(&mu_);
  std::erase_if(images_, [&](const auto& entry) { return entry.first == reference || entry.second.id == reference; });
  return absl::OkStatus();
}

absl::StatusOr<RootfsLease> FakeImageStore::Lease(const std::string& reference, const std::string& holder) {
  absl::StatusOr<Image> image = Find(reference);
  if (!image.ok()) return image.status();
  absl::MutexLock lock(&mu_);
  leases_[holder] = image->id;
  RootfsLease lease;
  lease.image = *std::move(image);
  return lease;
}

absl::Status FakeImageStore::Release(const std::string& holder) {
  absl::MutexLock lock(&mu_);
  leases_.erase(holder);
  return absl::OkStatus();
}

std::vector<std::string> FakeImageStore::LeaseHolders() {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> holders;
  for (const auto& [holder, id] : leases_) holders.push_back(holder);
  return holders;
}

absl::StatusOr<ImageFsUsage> FakeImageStore::FsUsage() {
  return ImageFsUsage{.mountpoint = "/", .used_bytes = 4096, .inodes_used = 3};
}

}  // namespace podvisor::cri
