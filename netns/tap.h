// The tap a VM's network card ends at.
#ifndef PODVISOR_NETNS_TAP_H_
#define PODVISOR_NETNS_TAP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace podvisor {

// Both act in the network namespace of the calling thread.

// Makes a persistent tap with one queue: no packet information, a virtio-net header in front of each frame. Success if
// it is there and free. kUnavailable if a process uses it.
absl::Status CreateTap(const std::string& name);

// Opens the tap's only queue, as the VMM expects it before its guest's driver negotiates: header of 10 bytes, no
// offloads. kUnavailable while another process has it open, kNotFound if there is no such tap.
absl::StatusOr<UniqueFd> OpenTapQueue(const std::string& name);

// The same for the macvtap `name`, whose queue is a character device.
absl::StatusOr<UniqueFd> OpenMacvtapQueue(const std::string& name);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_TAP_H_
