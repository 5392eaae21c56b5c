#include "podmanager/image_volumes.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {

std::string VolumeHolder(const std::string& container_id, size_t index) {
  return absl::StrCat(container_id, "/volume/", index);
}

absl::StatusOr<std::map<size_t, GuestDisk>> AttachImageVolumes(PodContext& context, Container& container, Vm& vm) {
  std::map<size_t, GuestDisk> disks;
  size_t index = 0;
  const ContainerConfig config = container.effective_config();
  for (const MountConfig& mount : config.mounts()) {
    const size_t place = index++;
    if (mount.image().empty()) continue;
    const std::string holder = VolumeHolder(container.id(), place);
    ASSIGN_OR_RETURN(const RootfsLease lease, context.images.Lease(mount.image(), holder), "mount of image ",
                     mount.image());
    RETURN_IF_ERROR(container.Update([&](ContainerRecord& record) {
      ContainerRecord::ImageVolume& volume = *record.add_image_volumes();
      volume.set_mount(static_cast<uint32_t>(place));
      volume.set_disk_path(lease.erofs_path);
      volume.set_image_id(lease.image.id);
    }));
    ASSIGN_OR_RETURN(disks[place], container.sandbox()->disks().Attach(vm, lease.erofs_path, holder), "mount of image ",
                     mount.image());
    RETURN_IF_ERROR(container.Update([&](ContainerRecord& record) {
      record.mutable_image_volumes(record.image_volumes_size() - 1)->set_disk_id(disks[place].id);
    }));
  }
  return disks;
}

absl::Status DetachImageVolumes(Container& container, Vm& vm) {
  const ContainerRecord record = container.record();
  for (const ContainerRecord::ImageVolume& volume : record.image_volumes()) {
    RETURN_IF_ERROR(
        container.sandbox()->disks().Detach(vm, volume.disk_path(), VolumeHolder(container.id(), volume.mount())));
  }
  return absl::OkStatus();
}

absl::Status ReleaseImageVolumes(PodContext& context, const Container& container) {
  const ContainerConfig config = container.effective_config();
  for (int i = 0; i < config.mounts_size(); ++i) {
    if (config.mounts(i).image().empty()) continue;
    RETURN_IF_ERROR(context.images.Release(VolumeHolder(container.id(), static_cast<size_t>(i))), "container ",
                    container.id(), ": release image of mount ", i);
  }
  return absl::OkStatus();
}

void RestoreImageVolumes(const ContainerRecord& record, SandboxDisks& disks) {
  for (const ContainerRecord::ImageVolume& volume : record.image_volumes()) {
    disks.Restore(volume.disk_path(), volume.disk_id(), VolumeHolder(record.id(), volume.mount()));
  }
}

}  // namespace podvisor
