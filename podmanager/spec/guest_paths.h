// Where things are in the guest: agreed with the agent, see agent/README.md.
#ifndef PODVISOR_PODMANAGER_SPEC_GUEST_PATHS_H_
#define PODVISOR_PODMANAGER_SPEC_GUEST_PATHS_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace podvisor {

inline constexpr absl::string_view kGuestBase = "/run/kata-containers";
inline constexpr absl::string_view kGuestPodFiles = "/run/kata-containers/sandbox";  // hostname, hosts, resolv.conf
inline constexpr absl::string_view kGuestShm = "/run/kata-containers/sandbox/shm";
inline constexpr absl::string_view kGuestSharedFolder = "/run/kata-containers/shared/containers";
inline constexpr absl::string_view kSharedFolderTag = "podvisor";

// Folder of one container: "lower", "upper", "work" and "rootfs" are below it.
inline std::string GuestContainerDir(absl::string_view container_id) {
  return absl::StrCat(kGuestBase, "/", container_id);
}

// Where the image of the container's mount `index` is mounted: an image volume.
inline std::string GuestImageVolume(absl::string_view container_id, size_t index) {
  return absl::StrCat(GuestContainerDir(container_id), "/volumes/", index);
}

// What SharedFolder::Bind() put at `name`, as the guest sees it.
inline std::string GuestSharedPath(absl::string_view name) { return absl::StrCat(kGuestSharedFolder, "/", name); }

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_GUEST_PATHS_H_
