// What a template is good for.
#ifndef PODVISOR_VMM_QEMU_TEMPLATE_KEY_H_
#define PODVISOR_VMM_QEMU_TEMPLATE_KEY_H_

#include <string>

#include "absl/status/statusor.h"
#include "vmm/hypervisor.h"
#include "vmm/qemu/accelerator.h"
#include "vmm/qemu/options.h"

namespace podvisor {

// As Hypervisor::TemplateKey(). Made of QEMU's version and program file, the whole command line of a template but for
// what a clone may have of its own, and kernel and initrd. kNotFound names the file that is missing.
absl::StatusOr<std::string> QemuTemplateKey(const QemuOptions& options, Accelerator accelerator,
                                            const std::string& version, VmSpec spec);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_TEMPLATE_KEY_H_
