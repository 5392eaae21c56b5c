// Which device node is meant by the host's name for a disk.
#ifndef PODVISOR_AGENT_GUEST_STORAGES_BLOCK_DEVICES_H_
#define PODVISOR_AGENT_GUEST_STORAGES_BLOCK_DEVICES_H_

#include <string>

#include "absl/status/statusor.h"

namespace podvisor::guest {

// Sources of Kata's storages and devices. All return "/dev/NAME", kNotFound while it is not there, kInvalidArgument for
// a source that cannot be one. `sys` is "/sys".

// Driver "blk": PCI slots from the root bus down, "05" or "02/03" or "1f.2", in hex; or the path of a node.
absl::StatusOr<std::string> FindPciDisk(const std::string& source, const std::string& sys);
// Driver "scsi": "TARGET:LUN". Asks the hosts to look there if it is unknown.
absl::StatusOr<std::string> FindScsiDisk(const std::string& source, const std::string& sys);
// The virtio-serial port with this name, "/dev/vportNpM".
absl::StatusOr<std::string> FindSerialPort(const std::string& name, const std::string& sys);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_STORAGES_BLOCK_DEVICES_H_
