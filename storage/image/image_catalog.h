// Which images there are, by what names, and who uses them.
#ifndef PODVISOR_STORAGE_IMAGE_IMAGE_CATALOG_H_
#define PODVISOR_STORAGE_IMAGE_IMAGE_CATALOG_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/state_db.h"
#include "storage/content/digest.h"
#include "storage/records.pb.h"

namespace podvisor {

// The records of images and leases, in the database and in memory; and what pulls at work have pinned, in memory only.
// Thread-safe. A change is in the database before it is seen.
class ImageCatalog {
 public:
  // `is_whole` says if an image's content is there: records without are dropped (and their ids returned by dropped()).
  static absl::StatusOr<std::unique_ptr<ImageCatalog>> Load(StateDb& db,
                                                            const std::function<bool(const ImageRecord&)>& is_whole);
  const std::vector<std::string>& dropped() const { return dropped_; }

  // Adds the image or what is new about it; its names leave other images. Lists it again if it was removed.
  absl::Status Commit(const ImageRecord& added);

  // By id ("sha256:...", its 64 digits or an unambiguous beginning of them), tag or digest reference. kNotFound;
  // kInvalidArgument for what can be no reference, or for a beginning of several ids. Removed images are not found.
  absl::StatusOr<ImageRecord> Find(const std::string& reference) const;
  std::vector<ImageRecord> List() const;

  // Returns whether content became free. Success if there is no such image.
  absl::StatusOr<bool> Remove(const std::string& reference);

  // A holder that has a lease gets the image of it again, even if that was removed meanwhile; kFailedPrecondition if
  // `reference` is another image.
  absl::StatusOr<ImageRecord> Lease(const std::string& reference, const std::string& holder);
  // Returns whether content became free.
  absl::StatusOr<bool> Release(const std::string& holder);
  std::vector<std::string> LeaseHolders() const;

  // Keeps content from Sweep() while it has no record yet. Counted.
  class Pins {
   public:
    explicit Pins(ImageCatalog& catalog) : catalog_(catalog) {}
    Pins(const Pins&) = delete;
    Pins& operator=(const Pins&) = delete;
    ~Pins();
    void Add(const Digest& digest);

   private:
    ImageCatalog& catalog_;
    std::vector<std::string> hexes_;
  };

  // Calls `sweep` with the hexadecimal digits of all digests (blobs and image ids) that are in use. Nothing is pinned
  // or committed meanwhile, so it has to be quick.
  void Sweep(const std::function<void(const std::set<std::string>& in_use)>& sweep);

 private:
  explicit ImageCatalog(StateDb& db) : db_(db) {}
  const ImageRecord* ListedLocked(const std::string& id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  const ImageRecord* FindLocked(const std::string& reference, absl::Status& status) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool IsLeasedLocked(const std::string& id) const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  StateDb& db_;
  std::vector<std::string> dropped_;  // constant after Load()
  mutable absl::Mutex mu_;
  std::map<std::string, ImageRecord> images_ ABSL_GUARDED_BY(mu_);  // by id
  std::map<std::string, std::string> leases_ ABSL_GUARDED_BY(mu_);  // holder: id
  std::multiset<std::string> pins_ ABSL_GUARDED_BY(mu_);            // hexadecimal digits
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_IMAGE_CATALOG_H_
