#include "vmm/qemu/accelerator.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

absl::Status OpenKvm(const std::string& kvm_device) {
  const UniqueFd fd(::open(kvm_device.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", kvm_device));
  return absl::OkStatus();
}

bool HasVirtualisation(const std::string& cpuinfo) {
#if defined(__x86_64__)
  std::ifstream file(cpuinfo);
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "flags")) continue;
    const std::vector<absl::string_view> flags = absl::StrSplit(line, absl::ByAnyChar(" \t:"), absl::SkipEmpty());
    return std::any_of(flags.begin(), flags.end(), [](absl::string_view f) { return f == "vmx" || f == "svm"; });
  }
  return false;
#else
  (void)cpuinfo;
  return true;
#endif
}

}  // namespace

absl::string_view AcceleratorName(Accelerator accelerator) {
  switch (accelerator) {
    case Accelerator::kKvm:
      return "kvm";
    case Accelerator::kTcg:
      return "tcg";
  }
  return "";
}

absl::StatusOr<AcceleratorChoice> ParseAcceleratorChoice(absl::string_view text) {
  if (text == "auto") return AcceleratorChoice::kAuto;
  if (text == "kvm") return AcceleratorChoice::kKvm;
  if (text == "tcg") return AcceleratorChoice::kTcg;
  return absl::InvalidArgumentError(absl::StrCat("accelerator \"", text, "\": it is one of auto, kvm, tcg"));
}

absl::StatusOr<DetectedAccelerator> DetectAccelerator(AcceleratorChoice choice, const std::string& kvm_device,
                                                      const std::string& cpuinfo) {
  if (choice == AcceleratorChoice::kTcg) return DetectedAccelerator{Accelerator::kTcg, "tcg is configured"};
  const absl::Status kvm = OpenKvm(kvm_device);
  if (choice == AcceleratorChoice::kKvm) {
    if (!kvm.ok())
      return absl::FailedPreconditionError(absl::StrCat("accelerator kvm is configured: ", kvm.message(),
                                                        ": load the module kvm_intel or kvm_amd, or configure auto"));
    return DetectedAccelerator{Accelerator::kKvm, ""};
  }
  if (!kvm.ok()) return DetectedAccelerator{Accelerator::kTcg, std::string(kvm.message())};
  if (!HasVirtualisation(cpuinfo))
    return DetectedAccelerator{Accelerator::kTcg, absl::StrCat(kvm_device, " is there, but ", cpuinfo,
                                                               " lists neither vmx nor svm: software")};
  return DetectedAccelerator{Accelerator::kKvm, ""};
}

}  // namespace podvisor
