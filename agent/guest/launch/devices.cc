#include "agent/guest/launch/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "agent/guest/launch/paths_in_root.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

#undef major  // of sys/sysmacros.h: they are names of fields here
#undef minor

namespace podvisor::guest {
namespace {

struct Node {
  std::string path;
  mode_t mode;  // with the type
  dev_t number;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Default {
  const char* path;
  unsigned minor;
  unsigned major;
};
constexpr Default kDefaults[] = {{"/dev/null", 3, 1},   {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
                                 {"/dev/random", 8, 1}, {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5}};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link kLinks[] = {{"fd", "/proc/self/fd"},
                           {"stdin", "/proc/self/fd/0"},
                           {"stdout", "/proc/self/fd/1"},
                           {"stderr", "/proc/self/fd/2"},
                           {"ptmx", "pts/ptmx"}};

// Where nodes may not be made (a user namespace), the guest's own is bound there.
absl::Status BindNode(int folder, const std::string& name, const Node& node) {
  struct stat guests;
  if (::stat(node.path.c_str(), &guests) != 0 || guests.st_rdev != node.number ||
      (guests.st_mode & S_IFMT) != (node.mode & S_IFMT)) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", node.path, " can't be made in a user namespace, and the guest's own is another"));
  }
  const UniqueFd file(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("create ", node.path));
  if (::mount(node.path.c_str(), FdPath(file.get()).c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind ", node.path));
  }
  return absl::OkStatus();
}

// Makes nodes; most are in one folder, which is looked up once.
class NodeMaker {
 public:
  explicit NodeMaker(int root_fd) : root_fd_(root_fd) {}

  // The umask is 0.
  absl::Status Make(const Node& node) {
    const size_t slash = node.path.rfind('/');
    if (node.path.empty() || node.path[0] != '/' || slash + 1 == node.path.size()) {
      return absl::InvalidArgumentError(absl::StrCat("device path \"", node.path, "\""));
    }
    RETURN_IF_ERROR(Open(node.path.substr(0, slash)));
    const std::string name = node.path.substr(slash + 1);
    int failed = ::mknodat(folder_.get(), name.c_str(), node.mode, node.number);
    if (failed != 0 && errno == EEXIST) {
      // The image may bring its own, which need not be what it says.
      if (::unlinkat(folder_.get(), name.c_str(), 0) != 0) {
        return ErrnoStatus(errno, absl::StrCat("replace ", node.path));
      }
      failed = ::mknodat(folder_.get(), name.c_str(), node.mode, node.number);
    }
    if (failed != 0 && errno == EPERM) return BindNode(folder_.get(), name, node);
    if (failed != 0) return ErrnoStatus(errno, absl::StrCat("mknod ", node.path));
    if (node.uid == 0 && node.gid == 0) return absl::OkStatus();
    if (::fchownat(folder_.get(), name.c_str(), node.uid, node.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoStatus(errno, absl::StrCat("owner of ", node.path));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Open(const std::string& path) {
    if (folder_.ok() && path == path_) return absl::OkStatus();
    ASSIGN_OR_RETURN(folder_, OpenInRoot(root_fd_, path, Missing::kMakeFolder));
    path_ = path;
    return absl::OkStatus();
  }

  const int root_fd_;
  std::string path_;
  UniqueFd folder_;
};

absl::StatusOr<Node> FromSpec(const grpc::LinuxDevice& device) {
  mode_t type;
  if (device.type() == "c" || device.type() == "u") {
    type = S_IFCHR;
  } else if (device.type() == "b") {
    type = S_IFBLK;
  } else if (device.type() == "p") {
    type = S_IFIFO;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("device ", device.path(), " has the type \"", device.type(), "\""));
  }
  const mode_t mode = device.filemode() != 0 ? device.filemode() & 07777 : 0666;
  return Node{.path = device.path(),
              .mode = type | mode,
              .number = makedev(static_cast<unsigned>(device.major()), static_cast<unsigned>(device.minor())),
              .uid = device.uid(),
              .gid = device.gid()};
}

absl::Status MakeLinks(int root_fd) {
  ASSIGN_OR_RETURN(const UniqueFd dev, OpenInRoot(root_fd, "/dev", Missing::kMakeFolder));
  for (const Link& link : kLinks) {
    if (::symlinkat(link.target, dev.get(), link.name) == 0) continue;
    if (errno != EEXIST) return ErrnoStatus(errno, absl::StrCat("symlink /dev/", link.name));
  }
  return absl::OkStatus();
}

// Folders that are file systems or links of the container's own, and the agent's port.
bool IsGuestsOwn(const std::string& name) {
  constexpr const char* kNames[] = {"pts", "shm", "mqueue", "fd", "console", "ptmx", "virtio-ports"};
  for (const char* own : kNames) {
    if (name == own) return true;
  }
  return name.rfind("vport", 0) == 0;
}

// Every device of the guest, as privileged containers see them. The agent's /dev is still there at this point.
absl::Status MakeGuestDevices(NodeMaker& maker, const std::string& folder, int depth) {
  constexpr int kMaxDepth = 4;
  for (const std::string& name : ListFolder(folder)) {
    const std::string path = absl::StrCat(folder, "/", name);
    struct stat info;
    if (IsGuestsOwn(name) || ::lstat(path.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode) && depth < kMaxDepth) RETURN_IF_ERROR(MakeGuestDevices(maker, path, depth + 1));
    if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) continue;
    RETURN_IF_ERROR(maker.Make({path, info.st_mode, info.st_rdev, info.st_uid, info.st_gid}));
  }
  return absl::OkStatus();
}

bool WantsGuestDevices(const grpc::Spec& spec) {
  const auto found = spec.annotations().find("podvisor.guest-devices");
  return found != spec.annotations().end() && found->second == "all";
}

}  // namespace

absl::Status MakeDevices(int root_fd, const grpc::Spec& spec) {
  const mode_t old = ::umask(0);
  NodeMaker maker(root_fd);
  absl::Status status;
  if (WantsGuestDevices(spec)) status = MakeGuestDevices(maker, "/dev", 0);
  for (const Default& device : kDefaults) {
    if (!status.ok()) break;
    status = maker.Make({device.path, S_IFCHR | 0666, makedev(device.major, device.minor)});
  }
  for (const grpc::LinuxDevice& device : spec.linux().devices()) {
    if (!status.ok()) break;
    const absl::StatusOr<Node> node = FromSpec(device);
    status = node.ok() ? maker.Make(*node) : node.status();
  }
  ::umask(old);
  if (status.ok()) status = MakeLinks(root_fd);
  return status;
}

}  // namespace podvisor::guest
