#include "agent/guest/storages/storages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "agent/guest/launch/mount_options.h"
#include "agent/guest/log.h"
#include "agent/guest/modules.h"
#include "agent/guest/storages/block_devices.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr int64_t kDiskWaitMs = 30'000;

// Only what lies in the agent's own tree is removed after use: other mount points were somebody's before.
bool IsOurs(const std::string& path) { return path.rfind("/run/kata-containers/", 0) == 0; }

absl::Status CheckPath(const std::string& path, const char* what) {
  if (path.empty() || path[0] != '/' || path.size() > 4000 || path.find("/../") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(what, " \"", path, "\" is not an absolute path without .."));
  }
  return absl::OkStatus();
}

absl::Status CallMount(const std::string& source, const grpc::Storage& storage, const std::string& type,
                       unsigned long flags, const std::string& data) {
  if (::mount(source.c_str(), storage.mount_point().c_str(), type.c_str(), flags, data.c_str()) != 0) {
    return ErrnoStatus(
        errno, absl::StrCat("mount ", type, " ", source, " on ", storage.mount_point(), " with \"", data, "\""));
  }
  return absl::OkStatus();
}

// As on the wire, but with options that a transport cannot do without.
absl::Status Mount9p(const grpc::Storage& storage, const MountOptions& options) {
  std::string data = options.data;
  if (data.find("trans=") == std::string::npos) {
    data = absl::StrCat("trans=virtio,version=9p2000.L,msize=524288,cache=none", data.empty() ? "" : ",", data);
  }
  return CallMount(storage.source(), storage, "9p", options.flags, data);
}

// The folders may not be there yet: lower ones are somebody else's mounts, upper and work are ours.
absl::Status MountOverlay(const grpc::Storage& storage, const MountOptions& options, MountSet* mounts) {
  for (const std::string& option : SplitWords(options.data, ",")) {
    const size_t equals = option.find('=');
    const std::string key = option.substr(0, equals);
    if (equals == std::string::npos || (key != "lowerdir" && key != "upperdir" && key != "workdir")) continue;
    for (const std::string& folder : SplitWords(absl::string_view(option).substr(equals + 1), ":")) {
      RETURN_IF_ERROR(CheckPath(folder, key.c_str()));
      RETURN_IF_ERROR(MakeFolders(folder));
    }
    if (key == "upperdir") {
      const std::string upper = option.substr(equals + 1);
      mounts->AddFolder(upper);
      // It lends the root folder its owner.
      RETURN_IF_ERROR(GiveToRoot(mounts->users(), upper));
    }
    if (key == "workdir") mounts->AddFolder(option.substr(equals + 1));
  }
  return CallMount("overlay", storage, "overlay", options.flags, options.data);
}

absl::Status MountBind(const grpc::Storage& storage, const MountOptions& options) {
  const unsigned long recursive = options.recursive ? static_cast<unsigned long>(MS_REC) : 0ul;
  RETURN_IF_ERROR(CallMount(storage.source(), storage, "none", MS_BIND | recursive, ""));
  if (options.attributes == 0) return absl::OkStatus();
  mount_attr attr{};
  attr.attr_set = options.attributes;
  if (::mount_setattr(AT_FDCWD, storage.mount_point().c_str(), 0, &attr, sizeof(attr)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("options of ", storage.mount_point()));
  }
  return absl::OkStatus();
}

// A folder of the guest's own memory, shared by a pod's containers.
absl::Status MakeLocal(const grpc::Storage& storage) {
  mode_t mode = 0777;
  for (const std::string& option : storage.options()) {
    if (option.rfind("mode=", 0) == 0) mode = static_cast<mode_t>(::strtoul(option.c_str() + 5, nullptr, 8));
  }
  if (::chmod(storage.mount_point().c_str(), mode & 07777) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", storage.mount_point()));
  }
  return absl::OkStatus();
}

absl::Status SetGroup(const grpc::Storage& storage, const PodUsers& users) {
  if (!storage.has_fs_group()) return absl::OkStatus();
  const char* path = storage.mount_point().c_str();
  const gid_t group = users.root_gid + storage.fs_group().group_id();
  if (::chown(path, static_cast<uid_t>(-1), group) != 0 || ::chmod(path, 02775) != 0) {
    return ErrnoStatus(errno, absl::StrCat("group of ", storage.mount_point()));
  }
  return absl::OkStatus();
}

absl::Status MakeMountPoint(const grpc::Storage& storage) {
  struct stat info;
  if (storage.driver() == "bind" && ::stat(storage.source().c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
    RETURN_IF_ERROR(MakeFolders(storage.mount_point().substr(0, storage.mount_point().rfind('/'))));
    const UniqueFd file(::open(storage.mount_point().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("create ", storage.mount_point()));
    return absl::OkStatus();
  }
  return MakeFolders(storage.mount_point());
}

absl::Status MountByDriver(const grpc::Storage& storage, const std::string& device, MountSet* mounts) {
  const MountOptions options = ParseMountOptions(storage.options());
  const std::string& driver = storage.driver();
  if (driver == "blk" || driver == "scsi") {
    return CallMount(device, storage, storage.fstype(), options.flags, options.data);
  }
  if (driver == "9p") return Mount9p(storage, options);
  if (driver == "virtio-fs") return CallMount(storage.source(), storage, "virtiofs", options.flags, options.data);
  if (driver == "overlayfs") return MountOverlay(storage, options, mounts);
  if (driver == "ephemeral") {
    // Huge pages are asked for by type; the rest is memory.
    const bool huge = storage.fstype() == "hugetlbfs";
    return CallMount(huge ? "nodev" : "tmpfs", storage, huge ? "hugetlbfs" : "tmpfs", options.flags, options.data);
  }
  if (driver == "bind") return MountBind(storage, options);
  return MakeLocal(storage);
}

// Of what was just mounted. What comes from the host by 9p or virtio-fs is mapped there: these can't be here.
absl::Status SetOwners(const grpc::Storage& storage, MountSet* mounts) {
  const std::string& driver = storage.driver();
  if (!mounts->users().AreMapped()) return absl::OkStatus();
  if (driver == "ephemeral" || driver == "local") return GiveToRoot(mounts->users(), storage.mount_point());
  if (driver != "blk" && driver != "scsi" && driver != "bind") return absl::OkStatus();
  return MapOwners(mounts->users(), storage.mount_point());
}

absl::Status MountOne(const grpc::Storage& storage, const std::string& device, MountSet* mounts) {
  RETURN_IF_ERROR(CheckPath(storage.mount_point(), "mount point"));
  RETURN_IF_ERROR(MakeMountPoint(storage));
  RETURN_IF_ERROR(MountByDriver(storage, device, mounts));
  if (storage.driver() != "local") {
    mounts->Add(storage.mount_point());
  } else {
    mounts->AddFolder(storage.mount_point());
  }
  RETURN_IF_ERROR(SetOwners(storage, mounts));
  return SetGroup(storage, mounts->users());
}

// What a driver or a file system needs of the kernel, where that is not there yet. Should it be missing, the mount says
// so better than we could.
void LoadModulesFor(const grpc::Storage& storage) {
  std::vector<std::string> names;
  if (storage.driver() == "scsi") names = {"virtio_scsi", "sd_mod"};
  if (storage.driver() == "virtio-fs") names = {"virtiofs"};
  if (storage.driver() == "9p") names = {"9pnet_virtio", "9p"};
  if (storage.driver() == "overlayfs") names = {"overlay"};
  if (storage.driver() == "blk" || storage.driver() == "scsi") names.push_back(storage.fstype());
  const std::string known = ReadTextOrEmpty("/proc/filesystems");
  for (const std::string& name : names) {
    if (name.empty() || name.find('/') != std::string::npos) continue;
    if (known.find("\t" + name + "\n") == std::string::npos) (void)LoadModule(name);
  }
}

// The rest of a list, one storage after another.
struct Progress {
  Uevents& uevents;
  StorageList storages;
  std::shared_ptr<MountSet> mounts;
  std::function<void(const absl::Status&)> done;
  int next = 0;
};

void Continue(const std::shared_ptr<Progress>& progress) {
  if (progress->next == progress->storages.size()) return progress->done(absl::OkStatus());
  const grpc::Storage& storage = progress->storages[progress->next];
  const std::string& driver = storage.driver();
  LoadModulesFor(storage);
  const auto mount = [progress](absl::StatusOr<std::string> device) {
    const grpc::Storage& storage = progress->storages[progress->next];
    const absl::Status status =
        device.ok() ? MountOne(storage, *device, progress->mounts.get()) : std::move(device).status();
    if (!status.ok()) return progress->done(Prefix(status, absl::StrCat("storage ", storage.driver())));
    ++progress->next;
    Continue(progress);
  };
  if (driver == "blk" || driver == "scsi") {
    const auto find = driver == "blk" ? &FindPciDisk : &FindScsiDisk;
    progress->uevents.WaitFor([find, source = storage.source()] { return find(source, "/sys"); }, kDiskWaitMs, mount);
    return;
  }
  const std::vector<std::string> known = StorageDrivers();
  if (std::find(known.begin(), known.end(), driver) == known.end()) {
    return progress->done(absl::InvalidArgumentError(absl::StrCat("storage driver \"", driver, "\" is not supported")));
  }
  mount(std::string());
}

}  // namespace

absl::Status MountSet::MountLayer(const std::string& folder) {
  RETURN_IF_ERROR(MakeFolders(folder));
  if (::mount("layer", folder.c_str(), "tmpfs", MS_NODEV, "mode=755") != 0) {
    return ErrnoStatus(errno, absl::StrCat("mount ", folder));
  }
  Add(folder);
  layer_ = folder;
  return absl::OkStatus();
}

void MountSet::EndLayerSetUp() {
  if (const std::optional<LayerUsage> usage = Layer()) layer_inodes_ += usage->inodes;
}

std::optional<LayerUsage> MountSet::Layer() const {
  struct statfs info;
  if (layer_.empty() || ::statfs(layer_.c_str(), &info) != 0) return std::nullopt;
  const uint64_t inodes = info.f_files - info.f_ffree;
  const auto block = static_cast<uint64_t>(info.f_bsize);
  return LayerUsage{.bytes = (info.f_blocks - info.f_bfree) * block,
                    .inodes = inodes - std::min<uint64_t>(inodes, layer_inodes_),
                    .limit_bytes = info.f_blocks * block,
                    .inodes_limit = info.f_files,
                    .inodes_free = info.f_ffree};
}

void MountSet::Unmount() {
  for (auto it = mount_points_.rbegin(); it != mount_points_.rend(); ++it) {
    if (::umount2(it->c_str(), UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EBUSY && ::umount2(it->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    if (errno != EINVAL && errno != ENOENT) Log("unmount ", *it, ": ", ErrnoStatus(errno, "umount").message());
  }
  for (const std::string& folder : folders_) {
    if (IsOurs(folder)) RemoveTree(folder);
  }
  for (auto it = mount_points_.rbegin(); it != mount_points_.rend(); ++it) {
    if (IsOurs(*it) && ::rmdir(it->c_str()) != 0 && errno == ENOTDIR) ::unlink(it->c_str());
  }
  mount_points_.clear();
  folders_.clear();
  layer_.clear();
  layer_inodes_ = 0;
}

std::vector<std::string> StorageDrivers() {
  return {"blk", "scsi", "9p", "virtio-fs", "overlayfs", "ephemeral", "local", "bind"};
}

void MountStorages(Uevents& uevents, const StorageList& storages, std::shared_ptr<MountSet> mounts,
                   std::function<void(const absl::Status&)> done) {
  Continue(std::make_shared<Progress>(
      Progress{.uevents = uevents, .storages = storages, .mounts = std::move(mounts), .done = std::move(done)}));
}

}  // namespace podvisor::guest
