// A layer's bytes: decompressed, hashed, and read as a tar.
#ifndef PODVISOR_STORAGE_IMAGE_TAR_STREAM_H_
#define PODVISOR_STORAGE_IMAGE_TAR_STREAM_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/content/digest.h"
#include "storage/interruption.h"

struct archive;
struct archive_entry;

namespace podvisor {

// Two libarchive readers in a row: the first takes off gzip or zstd (found by their magic; nothing is plain), the
// second reads the tar. So the digest of all uncompressed bytes, those after the end of the tar included, comes from
// the same pass. Not thread-safe; used by one thread from Open() on, whose locale it borrows (names are UTF-8).
class TarStream {
 public:
  // `interruption` is looked at with each block.
  static absl::StatusOr<std::unique_ptr<TarStream>> Open(const std::string& path, const Interruption& interruption);
  TarStream(const TarStream&) = delete;
  TarStream& operator=(const TarStream&) = delete;
  ~TarStream();

  // The next entry, owned by this object and valid until the next call; null at the end. kDataLoss for what is no tar.
  absl::StatusOr<archive_entry*> Next();

  // Writes the current entry's content to `fd`, holes as holes. `path` is for errors.
  absl::Status CopyTo(int fd, const std::string& path);

  // Reads to the very end and returns the digest of the uncompressed bytes. Once, after Next() returned null.
  absl::StatusOr<Digest> Finish();

 private:
  struct Impl;
  explicit TarStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_TAR_STREAM_H_
