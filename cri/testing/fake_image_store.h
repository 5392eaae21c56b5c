// Images that exist only in memory.
#ifndef PODVISOR_CRI_TESTING_FAKE_IMAGE_STORE_H_
#define PODVISOR_CRI_TESTING_FAKE_IMAGE_STORE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "storage/image_store.h"

namespace podvisor::cri {

// Thread-safe. Pulls what the test has put into the "registry"; names are taken as they are.
class FakeImageStore final : public ImageStore {
 public:
  // Makes an image pullable as `reference`. Its id is "sha256:" and 64 digits.
  void AddToRegistry(const std::string& reference, const Image& image);
  // Pulls of "stalled" wait until they are cancelled, after this has been notified.
  absl::Notification& stalled() { return stalled_; }
  RegistryAuth last_auth();

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
  absl::Mutex mu_;
  std::map<std::string, Image> registry_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Image> images_ ABSL_GUARDED_BY(mu_);  // by reference
  std::map<std::string, std::string> leases_ ABSL_GUARDED_BY(mu_);
  RegistryAuth last_auth_ ABSL_GUARDED_BY(mu_);
  absl::Notification stalled_;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_TESTING_FAKE_IMAGE_STORE_H_
