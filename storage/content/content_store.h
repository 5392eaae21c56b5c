// Blobs by digest, in one folder.
#ifndef PODVISOR_STORAGE_CONTENT_CONTENT_STORE_H_
#define PODVISOR_STORAGE_CONTENT_CONTENT_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "storage/content/digest.h"

namespace podvisor {

// One blob on its way into the store: a temporary file and its running hash. Not thread-safe. The destructor removes
// what was not committed.
class BlobWriter {
 public:
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;
  ~BlobWriter();

  // kDataLoss as soon as there are more bytes than announced; kResourceExhausted if the disk is full.
  absl::Status Write(absl::string_view data);
  // Starts from nothing again.
  absl::Status Restart();
  uint64_t written() const { return written_; }

  // kDataLoss if size or digest differ from what was announced. Otherwise the blob is on disk (synced, with its folder)
  // under its name when this returns.
  absl::Status Commit();
  // As Commit(), for content whose digest is found out by reading it.
  absl::StatusOr<Digest> CommitUnderItsDigest();

 private:
  friend class ContentStore;
  BlobWriter(std::string folder, std::string temporary, UniqueFd fd, Digest digest, uint64_t size);
  absl::Status Publish(const Digest& digest);

  const std::string folder_;  // of the finished blobs
  std::string temporary_;     // empty once renamed
  UniqueFd fd_;
  const Digest digest_;
  const uint64_t size_;
  uint64_t written_ = 0;
  Sha256 hash_;
};

// Thread-safe: all state is the folder's. What is listed is complete and verified; the caller sees to it that a blob is
// fetched once (KeyedGate) and that nobody uses what it removes.
class ContentStore {
 public:
  // Blobs go to `root`/blobs/sha256/HEX, unfinished ones to `temporary_folder` on the same file system; both are made.
  static absl::StatusOr<std::unique_ptr<ContentStore>> Open(const std::string& root,
                                                            const std::string& temporary_folder);

  // An empty `digest` with CommitUnderItsDigest(). `size` bytes at most.
  absl::StatusOr<std::unique_ptr<BlobWriter>> Begin(const Digest& digest, uint64_t size);
  absl::Status Put(const Digest& digest, absl::string_view content);

  bool Has(const Digest& digest) const;
  std::string Path(const Digest& digest) const { return folder_ + "/" + digest.hex(); }
  // kNotFound; kResourceExhausted if it has more than `limit` bytes; kDataLoss if it is not what its name says.
  absl::StatusOr<std::string> Read(const Digest& digest, size_t limit) const;
  // Everything in the folder, files of strange names included: what an orphan scan has to see.
  absl::StatusOr<std::vector<std::string>> List() const;
  const std::string& folder() const { return folder_; }

 private:
  ContentStore(std::string folder, std::string temporary_folder)
      : folder_(std::move(folder)), temporary_folder_(std::move(temporary_folder)) {}
  const std::string folder_;
  const std::string temporary_folder_;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_CONTENT_CONTENT_STORE_H_
