// The files of a template, from their making to the descriptors that its clones are started with.
#ifndef PODVISOR_VMM_QEMU_TEMPLATE_FILES_H_
#define PODVISOR_VMM_QEMU_TEMPLATE_FILES_H_

#include <sys/types.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// What a QEMU inherits for BootMode.
struct TemplateFds {
  UniqueFd memory;                            // its kMemoryFd; none with kCold
  UniqueFd devices;                           // a clone's kDevicesFd
  std::vector<std::pair<int, int>> pass_fds;  // both: see SpawnOptions
  std::vector<ChildStep> steps;  // kCloneOfCopy: the copying, in the child, whose cgroup pays for the pages
  UniqueFd source;               // of the copying
};

// kToBeTemplate makes the memory file, which `owner` (none: we) may open; kAlreadyExists if there is one, since clones
// may be using it. The others open it for reading: kFailedPrecondition if it is not of VmSpec::memory_bytes, kNotFound
// names what is missing.
absl::StatusOr<TemplateFds> OpenTemplate(const VmSpec& spec, std::optional<uid_t> owner);

// Where the state of the devices is written, until CommitTemplate() gives it its name.
absl::StatusOr<UniqueFd> MakeDevicesFile(const TemplateFiles& files);
// Takes the rights to the memory file from QEMU's user, and from us.
absl::Status CommitTemplate(const TemplateFiles& files);
// What a template that failed has left.
void RemoveTemplate(const TemplateFiles& files);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_TEMPLATE_FILES_H_
