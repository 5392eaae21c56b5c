// Kernel modules that are not needed at every boot.
#ifndef PODVISOR_AGENT_GUEST_MODULES_H_
#define PODVISOR_AGENT_GUEST_MODULES_H_

#include <string>

#include "absl/status/status.h"

namespace podvisor::guest {

// Loads the module file at `path`. Success if it is loaded already.
absl::Status LoadModuleFile(const std::string& path);

// Loads a module by name ("virtio_scsi"; - and _ are alike) after what it needs, by modules.dep of the running kernel
// under `lib` ("/lib/modules"). Success if it is loaded or built in; kNotFound if the guest does not bring it.
absl::Status LoadModule(const std::string& name, const std::string& lib = "/lib/modules");

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_MODULES_H_
