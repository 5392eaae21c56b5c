#include "podmanager/spec/mounts.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "podmanager/spec/guest_paths.h"
#include "podmanager/spec/user_mappings.h"

namespace podvisor {
namespace {

grpc::Mount MakeMount(absl::string_view destination, absl::string_view type, absl::string_view source,
                      const std::vector<std::string>& options) {
  grpc::Mount mount;
  mount.set_destination(std::string(destination));
  mount.set_type(std::string(type));
  mount.set_source(std::string(source));
  for (const std::string& option : options) mount.add_options(option);
  return mount;
}

// Absolute, without "." and "..", no slash at the end.
absl::StatusOr<std::string> CleanPath(const std::string& path, absl::string_view field) {
  if (!absl::StartsWith(path, "/") || path.find('\0') != std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat(field, " \"", path, "\" is not an absolute path"));
  std::string clean = std::filesystem::path(path).lexically_normal().string();
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  return clean;
}

// tty's group, where the container has so many.
std::string TerminalGroup(const Namespaces& namespaces) {
  constexpr uint32_t kTty = 5;
  const bool mapped =
      !namespaces.user_namespace() || (namespaces.gids_size() > 0 && namespaces.gids(0).length() > kTty);
  return absl::StrCat("gid=", mapped ? kTty : 0);
}

std::vector<grpc::Mount> DefaultMounts(const ContainerConfig& config) {
  const std::string access = config.privileged() ? "rw" : "ro";
  // The pod's own files follow the root file system in being read-only, as with containerd.
  const std::string pod_files = config.readonly_rootfs() ? "ro" : "rw";
  std::vector<grpc::Mount> mounts = {
      MakeMount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      MakeMount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      MakeMount("/dev/pts", "devpts", "devpts",
                {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", TerminalGroup(config.namespaces())}),
      MakeMount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      MakeMount("/dev/shm", "bind", kGuestShm, {"rbind"}),
      MakeMount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", access}),
      MakeMount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", access}),
  };
  for (absl::string_view name : {"hostname", "hosts", "resolv.conf"})
    mounts.push_back(MakeMount(absl::StrCat("/etc/", name), "bind", absl::StrCat(kGuestPodFiles, "/", name),
                               {"rbind", "rprivate", pod_files}));
  return mounts;
}

// Read-only but for what is mounted below: the guest has one mount of it all, so the host keeps those who write out.
bool IsSealedByHost(const MountConfig& mount, bool holds_mounts) {
  return mount.image().empty() && (holds_mounts || mount.propagation() == HOST_TO_CONTAINER);
}

absl::StatusOr<std::vector<std::string>> BindOptions(const MountConfig& mount, bool holds_mounts) {
  std::vector<std::string> options = {"rbind"};
  switch (mount.propagation()) {
    case PRIVATE:
      options.push_back("rprivate");
      break;
    case HOST_TO_CONTAINER:
      options.push_back("rslave");
      break;
    case BIDIRECTIONAL:
      return absl::UnimplementedError(
          "propagation Bidirectional: a mount made inside a VM can't appear on the host; use a runtime class without "
          "VM");
    default:
      return absl::InvalidArgumentError(absl::StrCat("unknown propagation ", mount.propagation()));
  }
  if (mount.recursive_read_only()) {
    if (!mount.readonly()) return absl::InvalidArgumentError("recursive_read_only without readonly");
    if (mount.propagation() != PRIVATE)
      return absl::InvalidArgumentError("recursive_read_only needs private propagation");
    options.push_back("rro");
  } else {
    options.push_back(mount.readonly() && !IsSealedByHost(mount, holds_mounts) ? "ro" : "rw");
  }
  return options;
}

// By destination: of two mounts at one place the later one would hide the earlier.
absl::StatusOr<std::map<std::string, grpc::Mount>> ConfigMounts(const ContainerSpecInput& input) {
  std::map<std::string, grpc::Mount> mounts;
  const auto& config = input.config->mounts();
  if (static_cast<size_t>(config.size()) != input.mount_names.size())
    return absl::InternalError(
        absl::StrCat(config.size(), " mounts but ", input.mount_names.size(), " names for them"));
  for (int i = 0; i < config.size(); ++i) {
    const MountConfig& mount = config[i];
    ASSIGN_OR_RETURN(std::string destination, CleanPath(mount.container_path(), "container_path"), "mount ", i);
    if (destination == "/")
      return absl::InvalidArgumentError(absl::StrCat("mount ", i, ": container_path is the root folder"));
    const std::string& name = input.mount_names[i];
    if (name.empty())
      return absl::InvalidArgumentError(
          absl::StrCat("mount ", i, " at ", destination, ": neither host_path nor image"));
    // Host paths are mapped on the host, images in the guest, where they are the container's own like its root.
    if (!mount.image().empty() && (mount.uid_mappings_size() > 0 || mount.gid_mappings_size() > 0) &&
        !SameMappings(input.sandbox->namespaces(), mount.uid_mappings(), mount.gid_mappings()))
      return absl::InvalidArgumentError(absl::StrCat(
          "mount ", i, " at ", destination, ": uid_mappings and gid_mappings of an image differ from the pod's"));
    ASSIGN_OR_RETURN(std::vector<std::string> options,
                     BindOptions(mount, input.holding_mounts.count(static_cast<size_t>(i)) > 0), "mount ", i, " at ",
                     destination);
    const std::string source = absl::StartsWith(name, "/") ? name : GuestSharedPath(name);
    mounts[destination] = MakeMount(destination, "bind", source, options);
  }
  return mounts;
}

// An image, read-only.
absl::StatusOr<grpc::Storage> DiskStorage(const GuestDisk& disk, const std::string& mount_point) {
  grpc::Storage storage;
  if (!disk.pci_path.empty()) {
    storage.set_driver("blk");
    storage.set_source(disk.pci_path);
  } else if (!disk.scsi_addr.empty()) {
    storage.set_driver("scsi");
    storage.set_source(disk.scsi_addr);
  } else {
    return absl::InternalError(absl::StrCat("disk \"", disk.id, "\" of an image has no address in the guest"));
  }
  storage.set_fstype("erofs");
  storage.add_options("ro");
  storage.set_mount_point(mount_point);
  return storage;
}

bool Below(absl::string_view path, absl::string_view folder) {
  return absl::StartsWith(path, folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

}  // namespace

absl::StatusOr<std::vector<grpc::Mount>> BuildMounts(const ContainerSpecInput& input) {
  using ByDestination = std::map<std::string, grpc::Mount>;
  ASSIGN_OR_RETURN(ByDestination config_mounts, ConfigMounts(input));
  std::vector<grpc::Mount> mounts;
  for (grpc::Mount& mount : DefaultMounts(*input.config)) {
    // Whoever brings a /dev or /sys of their own has what is in it, too.
    const bool replaced = std::any_of(config_mounts.begin(), config_mounts.end(), [&mount](const auto& entry) {
      return entry.first == mount.destination() ||
             ((entry.first == "/dev" || entry.first == "/sys") && Below(mount.destination(), entry.first));
    });
    if (!replaced) mounts.push_back(std::move(mount));
  }
  // A volume of the image is written to in the container's overlay, which is as short-lived and has the image's
  // content. Under a read-only root it has to stay writable: a mount of its own, which the root's flag does not reach.
  if (input.config->readonly_rootfs()) {
    for (const std::string& volume : input.image->volumes) {
      ASSIGN_OR_RETURN(std::string path, CleanPath(volume, "image volume"));
      if (path == "/" || config_mounts.count(path) > 0) continue;
      const std::string source = absl::StrCat(GuestContainerDir(input.container_id), "/rootfs", path);
      config_mounts[path] = MakeMount(path, "bind", source, {"rbind", "rprivate", "rw"});
    }
  }
  for (auto& [destination, mount] : config_mounts) mounts.push_back(std::move(mount));
  std::stable_sort(mounts.begin(), mounts.end(), [](const grpc::Mount& a, const grpc::Mount& b) {
    const auto depth = [](const grpc::Mount& mount) {
      return std::count(mount.destination().begin(), mount.destination().end(), '/');
    };
    return depth(a) < depth(b);
  });
  return mounts;
}

absl::StatusOr<std::vector<grpc::Storage>> BuildStorages(const ContainerSpecInput& input) {
  const std::string folder = GuestContainerDir(input.container_id);
  ASSIGN_OR_RETURN(grpc::Storage lower, DiskStorage(input.disk, absl::StrCat(folder, "/lower")));
  grpc::Storage root;
  root.set_driver("overlayfs");
  root.set_source("overlay");
  root.set_fstype("overlay");
  root.add_options(absl::StrCat("lowerdir=", folder, "/lower"));
  root.add_options(absl::StrCat("upperdir=", folder, "/upper"));
  root.add_options(absl::StrCat("workdir=", folder, "/work"));
  root.set_mount_point(absl::StrCat(folder, "/rootfs"));
  std::vector<grpc::Storage> storages = {std::move(lower), std::move(root)};
  for (const auto& [index, disk] : input.volume_disks) {
    ASSIGN_OR_RETURN(grpc::Storage volume, DiskStorage(disk, GuestImageVolume(input.container_id, index)), "mount ",
                     index);
    storages.push_back(std::move(volume));
  }
  return storages;
}

}  // namespace podvisor
