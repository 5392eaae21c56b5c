// Whether this machine can run guests in hardware.
#ifndef PODVISOR_VMM_QEMU_ACCELERATOR_H_
#define PODVISOR_VMM_QEMU_ACCELERATOR_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

enum class Accelerator { kKvm, kTcg };
enum class AcceleratorChoice { kAuto, kKvm, kTcg };

absl::string_view AcceleratorName(Accelerator accelerator);  // "kvm", as QEMU calls it

// "auto", "kvm" or "tcg"; kInvalidArgument for anything else.
absl::StatusOr<AcceleratorChoice> ParseAcceleratorChoice(absl::string_view text);

struct DetectedAccelerator {
  Accelerator accelerator = Accelerator::kTcg;
  std::string reason;  // why not KVM, for people; empty for KVM
};

// kAuto: KVM if `kvm_device` opens for reading and writing and, on x86, `cpuinfo` lists vmx or svm. A device without
// the flag is a software variant on which a stock kernel hangs. kKvm takes the device alone and is kFailedPrecondition
// without it.
absl::StatusOr<DetectedAccelerator> DetectAccelerator(AcceleratorChoice choice,
                                                      const std::string& kvm_device = "/dev/kvm",
                                                      const std::string& cpuinfo = "/proc/cpuinfo");

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_ACCELERATOR_H_
