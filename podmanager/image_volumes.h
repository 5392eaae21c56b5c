// Images that a container mounts besides its own (CRI's Mount.image): each has a lease and a disk of its own.
#ifndef PODVISOR_PODMANAGER_IMAGE_VOLUMES_H_
#define PODVISOR_PODMANAGER_IMAGE_VOLUMES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "podmanager/pod_context.h"

namespace podvisor {

// Who leases the image of the container's mount `index`, and uses its disk.
std::string VolumeHolder(const std::string& container_id, size_t index);

// Leases and attaches all of them, and writes each down before its disk is attached. By place among the mounts.
// kNotFound for an image that has not been pulled. After an error, DetachImageVolumes() undoes what was done.
absl::StatusOr<std::map<size_t, GuestDisk>> AttachImageVolumes(PodContext& context, Container& container, Vm& vm);

// The guest must have unmounted them. Idempotent.
absl::Status DetachImageVolumes(Container& container, Vm& vm);

// With or without a VM. Idempotent.
absl::Status ReleaseImageVolumes(PodContext& context, const Container& container);

// After a restart: an earlier daemon's disks.
void RestoreImageVolumes(const ContainerRecord& record, SandboxDisks& disks);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IMAGE_VOLUMES_H_
