#include "storage/image/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"

namespace podvisor {
namespace {

constexpr size_t kBlock = 128 << 10;

struct FreeArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, FreeArchive>;

// libarchive turns names into the locale's characters, and the C locale has no more than ASCII.
class Utf8Locale {
 public:
  Utf8Locale() : utf8_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = ::uselocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() {
    if (utf8_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(utf8_);
  }

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

}  // namespace

struct TarStream::Impl {
  Utf8Locale locale;
  Interruption interruption;
  Reader raw;
  Reader tar;
  Sha256 hash;
  bool empty = false;        // not a byte in it
  absl::Status interrupted;  // what a callback could not return through libarchive
  std::string buffer = std::string(kBlock, '\0');

  absl::Status Error(archive* reader, const char* what) const {
    if (!interrupted.ok()) return interrupted;
    const char* why = archive_error_string(reader);
    return absl::DataLossError(absl::StrCat(what, ": ", why != nullptr ? why : "unknown error"));
  }

  // The next piece of the uncompressed layer; 0 at its end, negative for an error.
  ssize_t Read() {
    interrupted = interruption.Check();
    if (!interrupted.ok()) return -1;
    if (empty) return 0;
    const ssize_t got = archive_read_data(raw.get(), buffer.data(), buffer.size());
    if (got < 0) {
      interrupted = Error(raw.get(), "decompress");
      return -1;
    }
    hash.Update(absl::string_view(buffer.data(), static_cast<size_t>(got)));
    return got;
  }

  static la_ssize_t OnRead(archive* reader, void* self, const void** data) {
    Impl* impl = static_cast<Impl*>(self);
    *data = impl->buffer.data();
    const ssize_t got = impl->Read();
    if (got < 0) archive_set_error(reader, EIO, "interrupted");
    return got < 0 ? ARCHIVE_FATAL : got;
  }
};

TarStream::TarStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TarStream::~TarStream() = default;

absl::StatusOr<std::unique_ptr<TarStream>> TarStream::Open(const std::string& path, const Interruption& interruption) {
  auto impl = std::make_unique<Impl>();
  impl->interruption = interruption;
  impl->raw.reset(archive_read_new());
  archive* raw = impl->raw.get();
  archive_read_support_filter_none(raw);
  archive_read_support_filter_gzip(raw);
  archive_read_support_filter_zstd(raw);
  archive_read_support_format_raw(raw);
  archive_read_support_format_empty(raw);
  if (archive_read_open_filename(raw, path.c_str(), kBlock) != ARCHIVE_OK) return impl->Error(raw, "open layer");
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(raw, &entry);
  if (code != ARCHIVE_OK && code != ARCHIVE_EOF) return impl->Error(raw, "decompress");
  impl->empty = code == ARCHIVE_EOF;

  impl->tar.reset(archive_read_new());
  archive* tar = impl->tar.get();
  archive_read_support_filter_none(tar);
  archive_read_support_format_tar(tar);
  archive_read_support_format_gnutar(tar);
  archive_read_support_format_empty(tar);
  if (archive_read_open(tar, impl.get(), nullptr, &Impl::OnRead, nullptr) != ARCHIVE_OK)
    return impl->Error(tar, "read tar");
  return std::unique_ptr<TarStream>(new TarStream(std::move(impl)));
}

absl::StatusOr<archive_entry*> TarStream::Next() {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(impl_->tar.get(), &entry);
  if (code == ARCHIVE_EOF) return nullptr;
  // A warning leaves something of the entry out or altered: an image is exact or refused.
  if (code != ARCHIVE_OK) return impl_->Error(impl_->tar.get(), "read tar");
  return entry;
}

absl::Status TarStream::CopyTo(int fd, const std::string& path) {
  const void* data = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  off_t end = 0;
  for (;;) {
    const int code = archive_read_data_block(impl_->tar.get(), &data, &size, &offset);
    if (code == ARCHIVE_EOF) return absl::OkStatus();
    if (code != ARCHIVE_OK) return impl_->Error(impl_->tar.get(), "read tar");
    if (offset != end && ::lseek(fd, offset, SEEK_SET) < 0) return ErrnoStatus(errno, absl::StrCat("seek in ", path));
    RETURN_IF_ERROR(WriteFully(fd, absl::string_view(static_cast<const char*>(data), size), path));
    end = offset + static_cast<off_t>(size);
  }
}

absl::StatusOr<Digest> TarStream::Finish() {
  // The tar reader stops at the end marker and leaves what follows (padding, mostly) unread.
  for (;;) {
    const ssize_t got = impl_->Read();
    if (got < 0) return impl_->interrupted;
    if (got == 0) return impl_->hash.Finish();
  }
}

}  // namespace podvisor
