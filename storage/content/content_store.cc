#include "storage/content/content_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"

namespace podvisor {

BlobWriter::BlobWriter(std::string folder, std::string temporary, UniqueFd fd, Digest digest, uint64_t size)
    : folder_(std::move(folder)),
      temporary_(std::move(temporary)),
      fd_(std::move(fd)),
      digest_(std::move(digest)),
      size_(size) {}

BlobWriter::~BlobWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status BlobWriter::Write(absl::string_view data) {
  if (data.size() > size_ - written_)
    return absl::DataLossError(
        absl::StrCat("blob ", digest_.ToString(), ": more than the announced ", size_, " bytes"));
  RETURN_IF_ERROR(WriteFully(fd_.get(), data, absl::StrCat("blob ", digest_.ToString())));
  hash_.Update(data);
  written_ += data.size();
  return absl::OkStatus();
}

absl::Status BlobWriter::Restart() {
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0)
    return ErrnoStatus(errno, absl::StrCat("truncate ", temporary_));
  hash_.Reset();
  written_ = 0;
  return absl::OkStatus();
}

absl::Status BlobWriter::Commit() {
  if (written_ != size_)
    return absl::DataLossError(
        absl::StrCat("blob ", digest_.ToString(), ": truncated: ", written_, " of ", size_, " bytes"));
  const Digest found = hash_.Finish();
  if (found != digest_)
    return absl::DataLossError(
        absl::StrCat("blob ", digest_.ToString(), ": wrong digest: the content is ", found.ToString()));
  return Publish(digest_);
}

absl::StatusOr<Digest> BlobWriter::CommitUnderItsDigest() {
  const Digest found = hash_.Finish();
  RETURN_IF_ERROR(Publish(found));
  return found;
}

absl::Status BlobWriter::Publish(const Digest& digest) {
  const std::string path = absl::StrCat(folder_, "/", digest.hex());
  if (::fsync(fd_.get()) != 0) return DiskStatus(errno, absl::StrCat("sync blob ", digest.ToString()));
  if (::rename(temporary_.c_str(), path.c_str()) != 0)
    return DiskStatus(errno, absl::StrCat("rename ", temporary_, " to ", path));
  temporary_.clear();
  return SyncPath(folder_);
}

absl::StatusOr<std::unique_ptr<ContentStore>> ContentStore::Open(const std::string& root,
                                                                 const std::string& temporary_folder) {
  const std::string folder = absl::StrCat(root, "/blobs/sha256");
  RETURN_IF_ERROR(MakeFolders(folder));
  RETURN_IF_ERROR(MakeFolders(temporary_folder));
  return std::unique_ptr<ContentStore>(new ContentStore(folder, temporary_folder));
}

absl::StatusOr<std::unique_ptr<BlobWriter>> ContentStore::Begin(const Digest& digest, uint64_t size) {
  std::string temporary = absl::StrCat(temporary_folder_, "/blob.XXXXXX");
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.ok()) return DiskStatus(errno, absl::StrCat("create a file in ", temporary_folder_));
  return std::unique_ptr<BlobWriter>(new BlobWriter(folder_, std::move(temporary), std::move(fd), digest, size));
}

absl::Status ContentStore::Put(const Digest& digest, absl::string_view content) {
  if (Has(digest)) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> writer, Begin(digest, content.size()));
  RETURN_IF_ERROR(writer->Write(content));
  return writer->Commit();
}

bool ContentStore::Has(const Digest& digest) const {
  struct stat st;
  return ::lstat(Path(digest).c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

absl::StatusOr<std::string> ContentStore::Read(const Digest& digest, size_t limit) const {
  ASSIGN_OR_RETURN(std::string content, ReadFile(Path(digest), limit), "blob ", digest.ToString());
  if (Digest::Of(content) != digest)
    return absl::DataLossError(absl::StrCat("blob ", digest.ToString(), ": damaged on disk"));
  return content;
}

absl::StatusOr<std::vector<std::string>> ContentStore::List() const { return ListFolder(folder_); }

}  // namespace podvisor
