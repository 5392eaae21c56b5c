// What a VM has on the host beside its processes: folders, and a network namespace with a tap. Made for a sandbox, or
// for a VM that no sandbox has yet; all of it is found again by the id.
#ifndef PODVISOR_PODMANAGER_FACTORY_VM_SITE_H_
#define PODVISOR_PODMANAGER_FACTORY_VM_SITE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// A value: paths only.
struct VmSite {
  std::string id;  // the sandbox's, now or later
  std::string runtime_dir;
  std::string shared_dir;  // empty: the driver shares no folder
  std::string netns_path;
  std::vector<std::string> cgroup_procs;  // VmSpec::cgroup_procs
};

// Makes runtime folder and, where the driver has one, shared folder of `site->id`, and fills in their paths.
// Idempotent.
absl::Status MakeVmFolders(absl::string_view run_dir, const Capabilities& capabilities, VmSite* site);
// Success if there are none. The VM has ended: nothing uses them.
absl::Status RemoveVmFolders(absl::string_view run_dir, const std::string& id);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_VM_SITE_H_
