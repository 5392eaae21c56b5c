#include "agent/guest/launch/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "agent/guest/folders.h"
#include "agent/guest/launch/devices.h"
#include "agent/guest/launch/mount_options.h"
#include "agent/guest/launch/paths_in_root.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {
namespace {

absl::Status SetAttributes(int fd, uint64_t attributes, bool recursive, unsigned long propagation) {
  mount_attr attr{};
  attr.attr_set = attributes;
  if ((attributes & MOUNT_ATTR__ATIME) != 0) attr.attr_clr = MOUNT_ATTR__ATIME;
  attr.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? unsigned{AT_RECURSIVE} : 0u);
  if (::mount_setattr(fd, "", flags, &attr, sizeof(attr)) != 0) return ErrnoStatus(errno, "mount_setattr");
  return absl::OkStatus();
}

// Copies the source's mounts while they are still what the agent sees: so "rshared" and "rslave" mean its mounts.
absl::Status CloneSource(PlannedMount* planned) {
  const std::string& source = planned->mount->source();
  const unsigned flags =
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (planned->options.recursive ? unsigned{AT_RECURSIVE} : 0u);
  planned->tree.reset(::open_tree(AT_FDCWD, source.c_str(), flags));
  if (!planned->tree.ok()) return ErrnoStatus(errno, absl::StrCat("mount source ", source));
  struct stat info;
  if (::fstat(planned->tree.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", source));
  planned->is_folder = S_ISDIR(info.st_mode);
  const MountOptions& options = planned->options;
  RETURN_IF_ERROR(
      SetAttributes(planned->tree.get(), options.recursive_attributes, true,
                    options.propagation != 0 ? options.propagation : static_cast<unsigned long>(MS_PRIVATE)),
      source);
  return SetAttributes(planned->tree.get(), options.attributes, false, 0);
}

absl::Status AttachBind(const PlannedMount& planned, int root_fd) {
  const std::string& destination = planned.mount->destination();
  ASSIGN_OR_RETURN(const UniqueFd target,
                   OpenInRoot(root_fd, destination, planned.is_folder ? Missing::kMakeFolder : Missing::kMakeFile));
  if (::move_mount(planned.tree.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind ", planned.mount->source()));
  }
  return absl::OkStatus();
}

absl::Status MountFilesystem(const PlannedMount& planned, int root_fd) {
  const grpc::Mount& mount = *planned.mount;
  ASSIGN_OR_RETURN(const UniqueFd target, OpenInRoot(root_fd, mount.destination(), Missing::kMakeFolder));
  const std::string type = mount.type() == "cgroup" ? "cgroup2" : mount.type();
  const std::string source = mount.source().empty() ? type : mount.source();
  // A cgroup mount has no data in version 2.
  const char* data = type == "cgroup2" ? nullptr : planned.options.data.c_str();
  if (::mount(source.c_str(), FdPath(target.get()).c_str(), type.c_str(), planned.options.flags, data) != 0) {
    return ErrnoStatus(errno, absl::StrCat("mount ", type, " with \"", planned.options.data, "\""));
  }
  if (planned.options.propagation == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd mounted, OpenInRoot(root_fd, mount.destination(), Missing::kFail));
  return SetAttributes(mounted.get(), 0, planned.options.recursive_propagation, planned.options.propagation);
}

// The pod's boot_id and machine-id, where the container does not bring its own. They are a courtesy: what the image has
// in their place (a dangling link, say) is no reason to fail.
void BindIdentity(const grpc::Spec& spec, int root_fd) {
  struct File {
    const char* source;
    const char* target;
    const char* folder;  // if the spec mounts this or the target, it stays as it is
    Missing missing;
  };
  constexpr File kFiles[] = {{kBootIdFile, "/proc/sys/kernel/random/boot_id", "", Missing::kFail},
                             {kMachineIdFile, "/etc/machine-id", "/etc", Missing::kMakeFile}};
  for (const File& file : kFiles) {
    const bool own = std::any_of(spec.mounts().begin(), spec.mounts().end(), [&](const grpc::Mount& mount) {
      return mount.destination() == file.target || mount.destination() == file.folder;
    });
    if (own) continue;
    const UniqueFd tree(::open_tree(AT_FDCWD, file.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree.ok() || !SetAttributes(tree.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, false, 0).ok()) continue;
    const absl::StatusOr<UniqueFd> target = OpenInRoot(root_fd, file.target, file.missing);
    if (!target.ok()) continue;
    (void)::move_mount(tree.get(), "", target->get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  }
}

bool HasOwnDev(const grpc::Spec& spec) {
  for (const grpc::Mount& mount : spec.mounts()) {
    if (mount.destination() == "/dev" && (mount.type() == "bind" || ParseMountOptions(mount.options()).bind)) {
      return false;
    }
  }
  return true;
}

absl::Status Pivot(int root_fd) {
  if (::fchdir(root_fd) != 0) return ErrnoStatus(errno, "fchdir to the root");
  // Both on the same place: the old root lies on top of the new one's mount point, and goes away with one umount.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return ErrnoStatus(errno, "pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return ErrnoStatus(errno, "unmount the old root");
  if (::chdir("/") != 0) return ErrnoStatus(errno, "chdir /");
  return absl::OkStatus();
}

absl::Status SetRootPropagation(const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  grpc::Mount mount;
  mount.add_options(name);
  const MountOptions options = ParseMountOptions(mount.options());
  if (options.propagation == 0) return absl::InvalidArgumentError(absl::StrCat("root propagation \"", name, "\""));
  const unsigned long flags =
      options.propagation | (options.recursive_propagation ? static_cast<unsigned long>(MS_REC) : 0ul);
  if (::mount(nullptr, "/", nullptr, flags, nullptr) != 0) return ErrnoStatus(errno, "root propagation");
  return absl::OkStatus();
}

absl::Status MakeReadOnly(const std::string& path) {
  const UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree.ok()) return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, path);
  RETURN_IF_ERROR(SetAttributes(tree.get(), MOUNT_ATTR_RDONLY, true, 0), path);
  if (::move_mount(tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, absl::StrCat("read-only ", path));
  }
  return absl::OkStatus();
}

absl::Status Mask(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, path);
  const int failed = S_ISDIR(info.st_mode) ? ::mount("tmpfs", path.c_str(), "tmpfs", MS_RDONLY, "size=0k")
                                           : ::mount("/dev/null", path.c_str(), nullptr, MS_BIND, nullptr);
  if (failed != 0) return ErrnoStatus(errno, absl::StrCat("mask ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RootfsPlan> PlanRootfs(const grpc::Spec& spec) {
  RootfsPlan plan;
  for (const grpc::Mount& mount : spec.mounts()) {
    PlannedMount planned{.mount = &mount, .options = ParseMountOptions(mount.options()), .tree = UniqueFd()};
    if (mount.destination().empty() || mount.destination()[0] != '/' || mount.destination() == "/") {
      return absl::InvalidArgumentError(
          absl::StrCat("mount destination \"", mount.destination(), "\" is not an absolute path below /"));
    }
    if (mount.type() == "bind") planned.options.bind = true;
    if (planned.options.bind) RETURN_IF_ERROR(CloneSource(&planned), "mount ", mount.destination());
    plan.push_back(std::move(planned));
  }
  return plan;
}

absl::Status EnterRootfs(const grpc::Spec& spec, const RootfsPlan& plan) {
  const std::string& root = spec.root().path();
  // Nothing done from here on may reach the agent's own mounts.
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return ErrnoStatus(errno, "make / a slave");
  if (::mount(root.c_str(), root.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return ErrnoStatus(errno, absl::StrCat("root file system ", root));
  }
  const UniqueFd root_fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd.ok()) return ErrnoStatus(errno, absl::StrCat("root file system ", root));
  for (const PlannedMount& planned : plan) {
    RETURN_IF_ERROR(planned.options.bind ? AttachBind(planned, root_fd.get()) : MountFilesystem(planned, root_fd.get()),
                    "mount ", planned.mount->destination());
  }
  BindIdentity(spec, root_fd.get());
  if (HasOwnDev(spec)) RETURN_IF_ERROR(MakeDevices(root_fd.get(), spec), "devices");
  RETURN_IF_ERROR(Pivot(root_fd.get()));
  return SetRootPropagation(spec.linux().rootfspropagation());
}

absl::Status SealRootfs(const grpc::Spec& spec) {
  for (const std::string& path : spec.linux().readonlypaths()) RETURN_IF_ERROR(MakeReadOnly(path));
  for (const std::string& path : spec.linux().maskedpaths()) RETURN_IF_ERROR(Mask(path));
  if (!spec.root().readonly()) return absl::OkStatus();
  const UniqueFd root_fd(::open("/", O_PATH | O_CLOEXEC));
  return SetAttributes(root_fd.get(), MOUNT_ATTR_RDONLY, false, 0);
}

}  // namespace podvisor::guest
