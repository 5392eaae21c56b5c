// The options of an OCI or Kata mount, sorted by who understands them.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_MOUNT_OPTIONS_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_MOUNT_OPTIONS_H_

#include <cstdint>
#include <string>

#include "google/protobuf/repeated_field.h"

namespace podvisor::guest {

struct MountOptions {
  bool bind = false;
  bool recursive = false;             // rbind
  unsigned long flags = 0;            // MS_* for mount(2)
  uint64_t attributes = 0;            // the same as MOUNT_ATTR_*, for mount_setattr(2)
  uint64_t recursive_attributes = 0;  // of "rro" and the like
  unsigned long propagation = 0;      // MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or 0: not said
  bool recursive_propagation = false;
  std::string data;  // what the file system gets: "size=64m,mode=755"
};

MountOptions ParseMountOptions(const google::protobuf::RepeatedPtrField<std::string>& options);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_MOUNT_OPTIONS_H_
