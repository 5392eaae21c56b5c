#include "storage/image/layer_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"

namespace podvisor {
namespace {

constexpr int kMaxLinks = 40;   // as the kernel has it
constexpr int kMaxDepth = 200;  // a descriptor is held per level

// open() that can't leave `root`, whatever links are on the way.
int OpenInRoot(int root, const std::string& path, int flags) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return static_cast<int>(::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how));
}

std::string Quoted(const std::string& path) {
  return absl::StrCat("\"/", absl::CHexEscape(path.substr(0, 200)), path.size() > 200 ? "...\"" : "\"");
}

// Names of what the image holds are part of an image that makes no sense to the kernel.
absl::Status EntryStatus(int error_number, const std::string& call) {
  switch (error_number) {
    case ENAMETOOLONG:
    case ELOOP:
    case ENOTDIR:
    case ENOENT:
    case EXDEV:
    case EILSEQ:
      return absl::DataLossError(ErrnoStatus(error_number, call).message());
    default:
      return DiskStatus(error_number, call);
  }
}

std::vector<std::string> Names(int folder, absl::Status& status) {
  std::vector<std::string> names;
  // A description of its own: readdir's position is the description's.
  const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, int (*)(DIR*)> dir(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (dir == nullptr) {
    status = ErrnoStatus(errno, "list a folder of the image");
    return names;
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

// `path` without "." and "..", which stop at the root.
std::string Lexical(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      parts.push_back(part);
    else if (!parts.empty())
      parts.pop_back();
  }
  return absl::StrJoin(parts, "/");
}

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : absl::StrCat(folder, "/", name);
}

}  // namespace

absl::StatusOr<std::string> CleanPath(absl::string_view name) {
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return absl::DataLossError(
          absl::StrCat("entry ", Quoted(std::string(name)), " leads out of the image by \"..\": refused"));
    parts.push_back(part);
  }
  return absl::StrJoin(parts, "/");
}

absl::StatusOr<LayerTree> LayerTree::Create(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) != 0) return DiskStatus(errno, absl::StrCat("mkdir ", folder));
  UniqueFd root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!root.ok()) return ErrnoStatus(errno, absl::StrCat("open ", folder));
  if (::fchmod(root.get(), 0755) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", folder));
  LayerTree tree(std::move(root));
  tree.SetFolderTime("", {});
  return tree;
}

absl::StatusOr<LayerTree> LayerTree::Open(const std::string& folder) {
  UniqueFd root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.ok()) return ErrnoStatus(errno, absl::StrCat("open ", folder));
  return LayerTree(std::move(root));
}

absl::StatusOr<UniqueFd> LayerTree::OpenFolder(const std::string& path, const char* why) const {
  UniqueFd fd(OpenInRoot(root_.get(), path, O_RDONLY | O_DIRECTORY));
  if (!fd.ok()) return EntryStatus(errno, absl::StrCat(why, " ", Quoted(path)));
  return fd;
}

absl::StatusOr<LayerTree::Place> LayerTree::Locate(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash);
  Place place;
  place.name = slash == std::string::npos ? path : path.substr(slash + 1);
  place.parent.reset(OpenInRoot(root_.get(), folder, O_RDONLY | O_DIRECTORY));
  if (place.parent.ok()) return place;
  if (errno != ENOENT || folder.empty()) return EntryStatus(errno, absl::StrCat("open folder ", Quoted(folder)));
  int links = 0;
  RETURN_IF_ERROR(MakeFolder(folder, links));
  place.parent.reset(OpenInRoot(root_.get(), folder, O_RDONLY | O_DIRECTORY));
  if (!place.parent.ok()) return EntryStatus(errno, absl::StrCat("open folder ", Quoted(folder)));
  return place;
}

absl::Status LayerTree::MakeFolder(const std::string& folder, int& links) {
  if (const UniqueFd there(OpenInRoot(root_.get(), folder, O_PATH | O_DIRECTORY)); there.ok()) return absl::OkStatus();
  if (errno != ENOENT) return EntryStatus(errno, absl::StrCat("open folder ", Quoted(folder)));
  const size_t slash = folder.rfind('/');
  const std::string above = slash == std::string::npos ? "" : folder.substr(0, slash);
  const std::string name = slash == std::string::npos ? folder : folder.substr(slash + 1);
  if (!above.empty()) RETURN_IF_ERROR(MakeFolder(above, links));
  const UniqueFd parent(OpenInRoot(root_.get(), above, O_RDONLY | O_DIRECTORY));
  if (!parent.ok()) return EntryStatus(errno, absl::StrCat("open folder ", Quoted(above)));
  if (::mkdirat(parent.get(), name.c_str(), 0755) == 0) {
    Made(folder);
    SetFolderTime(folder, {});
    return absl::OkStatus();
  }
  if (errno != EEXIST) return EntryStatus(errno, absl::StrCat("make folder ", Quoted(folder)));
  // A link to a folder that is not there yet (/var/run to /run): that one is meant. Its path is only worked out roughly
  // here; where it leads is the kernel's to say, and never out.
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(parent.get(), name.c_str(), target.data(), target.size());
  if (size < 0 || ++links > kMaxLinks)
    return EntryStatus(size < 0 ? ENOTDIR : ELOOP, absl::StrCat("make folder ", Quoted(folder)));
  target.resize(static_cast<size_t>(size));
  return MakeFolder(Lexical(target.front() == '/' ? target : absl::StrCat(above, "/", target)), links);
}

void LayerTree::Made(const std::string& path) {
  for (std::string part = path; !part.empty() && made_.insert(part).second;) {
    const size_t slash = part.rfind('/');
    part = slash == std::string::npos ? "" : part.substr(0, slash);
  }
}

absl::Status LayerTree::RemoveExceptMade(int parent, const std::string& name, const std::string& path, int depth) {
  struct stat st;
  if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? absl::OkStatus() : EntryStatus(errno, absl::StrCat("stat ", Quoted(path)));
  const bool keep = made_.contains(path);
  if (!S_ISDIR(st.st_mode)) {
    if (!keep && ::unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT)
      return EntryStatus(errno, absl::StrCat("remove ", Quoted(path)));
    return absl::OkStatus();
  }
  if (depth > kMaxDepth) return absl::DataLossError(absl::StrCat("folders nested too deep at ", Quoted(path)));
  UniqueFd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.ok()) return EntryStatus(errno, absl::StrCat("open ", Quoted(path)));
  absl::Status status;
  for (const std::string& child : Names(folder.get(), status))
    RETURN_IF_ERROR(RemoveExceptMade(folder.get(), child, Join(path, child), depth + 1));
  RETURN_IF_ERROR(status);
  if (!keep && ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != ENOENT)
    return EntryStatus(errno, absl::StrCat("remove ", Quoted(path)));
  return absl::OkStatus();
}

absl::Status LayerTree::Clear(const Place& place, Keep keep) {
  struct stat st;
  if (::fstatat(place.parent.get(), place.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? absl::OkStatus() : EntryStatus(errno, absl::StrCat("stat ", Quoted(place.name)));
  if (S_ISDIR(st.st_mode) && keep == Keep::kFolder) return absl::OkStatus();
  // What this layer made goes too: of two entries of one name the last counts.
  std::set<std::string> made;
  made.swap(made_);
  absl::Status status = RemoveExceptMade(place.parent.get(), place.name, place.name, 0);
  made.swap(made_);
  return status;
}

absl::Status LayerTree::RemoveLower(const std::string& path) {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  return RemoveExceptMade(place.parent.get(), place.name, path, 0);
}

absl::Status LayerTree::RemoveLowerChildren(const std::string& path) {
  if (!path.empty()) {
    RETURN_IF_ERROR(Locate(absl::StrCat(path, "/.")).status());  // makes the folder
  }
  ASSIGN_OR_RETURN(const UniqueFd folder, OpenFolder(path, "open folder"));
  absl::Status status;
  for (const std::string& child : Names(folder.get(), status))
    RETURN_IF_ERROR(RemoveExceptMade(folder.get(), child, Join(path, child), 0));
  return status;
}

absl::Status LayerTree::ApplyFolderTimes() {
  for (const auto& [path, mtime] : folder_times_) {
    const UniqueFd fd(OpenInRoot(root_.get(), path, O_RDONLY | O_DIRECTORY));
    if (!fd.ok()) continue;  // a later layer removed or replaced it
    const timespec times[2] = {mtime, mtime};
    if (::futimens(fd.get(), times) != 0) return EntryStatus(errno, absl::StrCat("set the time of ", Quoted(path)));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> LayerTree::OpenFile(const std::string& path) const {
  // By O_PATH first: opening a device or a FIFO of the image would do something.
  UniqueFd path_fd(OpenInRoot(root_.get(), path, O_PATH));
  struct stat st;
  if (!path_fd.ok() && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
    return ErrnoStatus(errno, absl::StrCat("open ", Quoted(path)));
  if (!path_fd.ok() || ::fstat(path_fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return absl::NotFoundError(absl::StrCat("no regular file ", Quoted(path)));
  UniqueFd fd(::open(absl::StrCat("/proc/self/fd/", path_fd.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", Quoted(path)));
  return fd;
}

absl::StatusOr<std::string> LayerTree::ReadFile(const std::string& path, size_t limit) const {
  absl::StatusOr<UniqueFd> fd = OpenFile(path);
  if (absl::IsNotFound(fd.status())) return std::string();
  RETURN_IF_ERROR(fd.status());
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(fd->get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", Quoted(path)));
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > limit)
      return absl::ResourceExhaustedError(
          absl::StrCat("the image's ", Quoted(path), " has more than ", limit, " bytes"));
  }
}

}  // namespace podvisor
