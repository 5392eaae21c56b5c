// An image store without images: names, configurations and leases in memory.
#ifndef PODVISOR_PODMANAGER_TESTING_FAKE_IMAGE_STORE_H_
#define PODVISOR_PODMANAGER_TESTING_FAKE_IMAGE_STORE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "podmanager/testing/call_failpoints.h"
#include "storage/image_store.h"

namespace podvisor {

// Outlives "daemons", as a disk does. Thread-safe.
class FakeImageStore final : public ImageStore {
 public:
  // Empty files stand for the images in `folder`.
  explicit FakeImageStore(std::string folder) : folder_(std::move(folder)) {}

  CallFailpoints& failpoints() { return failpoints_; }
  // An image found by `reference` or by its id.
  void Add(const std::string& reference, ImageConfig config);

  absl::StatusOr<std::string> Pull(const std::string& reference, const PullOptions& options) override;
  absl::StatusOr<std::string> Import(const std::string& path, const std::string& name) override;
  absl::StatusOr<Image> Find(const std::string& reference) override;
  std::vector<Image> List() override;
  absl::Status Remove(const std::string& reference) override;
  absl::StatusOr<RootfsLease> Lease(const std::string& reference, const std::string& holder) override;
  absl::Status Release(const std::string& holder) override;
  std::vector<std::string> LeaseHolders() override;
  absl::StatusOr<ImageFsUsage> FsUsage() override;

 private:
  absl::StatusOr<Image> FindLocked(const std::string& reference) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string folder_;
  CallFailpoints failpoints_;
  absl::Mutex mu_;
  std::map<std::string, Image> images_ ABSL_GUARDED_BY(mu_);        // by reference
  std::map<std::string, std::string> leases_ ABSL_GUARDED_BY(mu_);  // by holder: image id
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TESTING_FAKE_IMAGE_STORE_H_
