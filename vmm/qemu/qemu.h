// The QEMU driver: one qemu-system process per VM, spoken to over QMP.
#ifndef PODVISOR_VMM_QEMU_QEMU_H_
#define PODVISOR_VMM_QEMU_QEMU_H_

#include <memory>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "vmm/hypervisor.h"
#include "vmm/qemu/options.h"

namespace podvisor {

// Probes the machine (QEMU's version, the accelerator) and makes the driver. `loop` outlives the driver and its VMs.
//
// kFailedPrecondition names what is missing and what to do: no QEMU at the path, KVM asked for and not usable, an
// unknown user.
absl::StatusOr<std::unique_ptr<Hypervisor>> MakeQemu(EventLoop& loop, QemuOptions options);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_QEMU_H_
