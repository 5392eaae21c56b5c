#include "storage/image/layer_unpacker.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"
#include "storage/image/tar_stream.h"

namespace podvisor {
namespace {

constexpr absl::string_view kWhiteout = ".wh.";
constexpr absl::string_view kOpaque = ".wh..wh..opq";
constexpr int64_t kMaxId = UINT32_MAX - 1;  // (uid_t)-1 means "leave it"

class Unpacker {
 public:
  Unpacker(TarStream& tar, LayerTree& tree, std::string disk_folder)
      : tar_(tar), tree_(tree), disk_folder_(std::move(disk_folder)) {}

  absl::Status Apply(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) return absl::DataLossError("an entry's name is not valid UTF-8");
    ASSIGN_OR_RETURN(const std::string path, CleanPath(name));
    const size_t slash = path.rfind('/');
    const std::string last = slash == std::string::npos ? path : path.substr(slash + 1);
    if (absl::StartsWith(last, kWhiteout))
      return ApplyWhiteout(slash == std::string::npos ? "" : path.substr(0, slash), last);
    return Make(entry, path);
  }

 private:
  absl::Status ApplyWhiteout(const std::string& folder, const std::string& last) {
    if (last == kOpaque) return tree_.RemoveLowerChildren(folder);
    const std::string hidden = last.substr(kWhiteout.size());
    if (absl::StartsWith(hidden, kWhiteout)) return absl::OkStatus();  // AUFS's own book-keeping
    if (hidden.empty() || hidden == "." || hidden == "..")
      return absl::DataLossError(absl::StrCat("whiteout of \"", hidden, "\": refused"));
    return tree_.RemoveLower(folder.empty() ? hidden : absl::StrCat(folder, "/", hidden));
  }

  absl::Status Make(archive_entry* entry, const std::string& path) {
    LayerTree::Place place;
    const bool folder = archive_entry_filetype(entry) == AE_IFDIR;
    if (path.empty()) {
      if (!folder) return absl::DataLossError("the image's root is no folder");
      place.parent.reset(::fcntl(tree_.root_fd(), F_DUPFD_CLOEXEC, 0));
      place.name.assign(1, '.');  // GCC 12 sees an overlap in the assignment of a literal here (its bug 105651)
      return FinishFolder(entry, place, path);
    }
    ASSIGN_OR_RETURN(place, tree_.Locate(path));
    RETURN_IF_ERROR(tree_.Clear(place, folder ? LayerTree::Keep::kFolder : LayerTree::Keep::kNothing));
    tree_.Made(path);
    if (archive_entry_hardlink(entry) != nullptr) return MakeHardLink(entry, place);
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        if (::mkdirat(place.parent.get(), place.name.c_str(), 0700) != 0 && errno != EEXIST)
          return Failed("make folder");
        return FinishFolder(entry, place, path);
      case AE_IFREG:
        return MakeFile(entry, place);
      case AE_IFLNK: {
        const char* target = archive_entry_symlink(entry);
        if (target == nullptr || *target == '\0') return absl::DataLossError("a symlink without a target");
        if (::symlinkat(target, place.parent.get(), place.name.c_str()) != 0) return Failed("make symlink");
        return SetMetadata(entry, place);
      }
      case AE_IFCHR:
      case AE_IFBLK:
      case AE_IFIFO:
        if (::mknodat(place.parent.get(), place.name.c_str(), archive_entry_filetype(entry) | 0600,
                      archive_entry_rdev(entry)) != 0)
          return Failed("make device or FIFO");
        return SetMetadata(entry, place);
      default:
        return absl::DataLossError("an entry of unknown type");
    }
  }

  // Names and targets are bytes of the image: what the kernel does not take of them is the image's fault.
  static absl::Status Failed(const std::string& what) {
    const int error = errno;
    if (error == ENAMETOOLONG || error == EINVAL || error == ENOENT || error == ENOTDIR || error == EILSEQ)
      return absl::DataLossError(ErrnoStatus(error, what).message());
    return DiskStatus(error, what);
  }

  absl::Status MakeHardLink(archive_entry* entry, const LayerTree::Place& place) {
    // From the root of the image, and confined to it like any name.
    ASSIGN_OR_RETURN(const std::string target, CleanPath(archive_entry_hardlink(entry)), "hard link");
    if (target.empty()) return absl::DataLossError("hard link to the root");
    ASSIGN_OR_RETURN(const LayerTree::Place from, tree_.Locate(target), "hard link");
    if (::linkat(from.parent.get(), from.name.c_str(), place.parent.get(), place.name.c_str(), 0) != 0)
      return errno == EPERM ? absl::DataLossError("hard link to a folder")
                            : Failed(absl::StrCat("hard link to \"/", absl::CHexEscape(target), "\""));
    return absl::OkStatus();
  }

  absl::Status MakeFile(archive_entry* entry, const LayerTree::Place& place) {
    ASSIGN_OR_RETURN(const uint64_t available, AvailableBytes(disk_folder_));
    const int64_t size = archive_entry_size(entry);
    if (size < 0) return absl::DataLossError("a file of negative size");
    // Sparse files count in full: mkfs.erofs writes their holes out.
    if (static_cast<uint64_t>(size) > available)
      return absl::ResourceExhaustedError(
          absl::StrCat("a file of ", size, " bytes, but the disk of the image store has only ", available, " left"));
    const UniqueFd fd(
        ::openat(place.parent.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.ok()) return Failed("create file");
    RETURN_IF_ERROR(tar_.CopyTo(fd.get(), "file"));
    // A hole at the end is written by nobody.
    if (::ftruncate(fd.get(), size) != 0) return Failed("set size");
    return SetMetadata(entry, place);
  }

  absl::Status FinishFolder(archive_entry* entry, const LayerTree::Place& place, const std::string& path) {
    tree_.SetFolderTime(path, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)});
    return SetMetadata(entry, place);
  }

  // Owner first, since chown takes away setuid bits and file capabilities.
  absl::Status SetMetadata(archive_entry* entry, const LayerTree::Place& place) {
    const int parent = place.parent.get();
    const char* name = place.name.c_str();
    const int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId)
      return absl::DataLossError(absl::StrCat("owner ", uid, ":", gid, " is out of range"));
    if (::fchownat(parent, name, static_cast<uid_t>(uid), static_cast<gid_t>(gid), AT_SYMLINK_NOFOLLOW) != 0)
      return Failed("chown");
    if (archive_entry_filetype(entry) != AE_IFLNK && ::fchmodat(parent, name, archive_entry_perm(entry), 0) != 0)
      return Failed("chmod");
    RETURN_IF_ERROR(SetXattrs(entry, place));
    const timespec mtime = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
    const timespec times[2] = {mtime, mtime};
    if (::utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) != 0) return Failed("set time");
    return absl::OkStatus();
  }

  absl::Status SetXattrs(archive_entry* entry, const LayerTree::Place& place) {
    // There is no setxattrat() yet; the last component is not followed by lsetxattr().
    const std::string path = absl::StrCat("/proc/self/fd/", place.parent.get(), "/", place.name);
    archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      if (name == nullptr || absl::StartsWith(name, "trusted.overlay.")) continue;
      // Not every file system has every name space (tmpfs no user.*): what can't be kept there is left out, as
      // container engines do.
      if (::lsetxattr(path.c_str(), name, value, size, 0) != 0 && errno != EOPNOTSUPP && errno != EPERM)
        return Failed(absl::StrCat("set xattr ", absl::CHexEscape(absl::string_view(name).substr(0, 100))));
    }
    return absl::OkStatus();
  }

  TarStream& tar_;
  LayerTree& tree_;
  const std::string disk_folder_;
};

}  // namespace

absl::StatusOr<Digest> ApplyLayer(const std::string& path, const std::string& disk_folder, LayerTree& tree,
                                  const Interruption& interruption) {
  ASSIGN_OR_RETURN(const std::unique_ptr<TarStream> tar, TarStream::Open(path, interruption));
  tree.StartLayer();
  Unpacker unpacker(*tar, tree, disk_folder);
  for (;;) {
    ASSIGN_OR_RETURN(archive_entry * entry, tar->Next());
    if (entry == nullptr) return tar->Finish();
    absl::Status status = unpacker.Apply(entry);
    if (status.ok()) continue;
    const char* name = archive_entry_pathname(entry);
    return Prefix(
        status,
        absl::StrCat("entry \"", absl::CHexEscape(std::string(name == nullptr ? "" : name).substr(0, 200)), "\""));
  }
}

}  // namespace podvisor
