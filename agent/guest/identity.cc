#include "agent/guest/identity.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/guest/folders.h"
#include "agent/guest/log.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxHostnameBytes = 64;
constexpr size_t kMachineIdDigits = 32;

// Not boot_id beside it: the kernel would keep what this reads.
std::string RandomUuid() { return ReadTextOrEmpty("/proc/sys/kernel/random/uuid"); }

}  // namespace

std::string MachineId(const std::string& sandbox_id) {
  std::string digits = absl::AsciiStrToLower(sandbox_id.substr(0, kMachineIdDigits));
  if (digits.size() == kMachineIdDigits && std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit)) {
    return digits;
  }
  std::string random = RandomUuid();
  std::erase(random, '-');
  return random;
}

Identity::Identity() : boot_id_(RandomUuid()) {}

absl::Status Identity::Assume(const std::string& sandbox_id) {
  boot_id_ = RandomUuid();
  RETURN_IF_ERROR(ReplaceTextFile(kBootIdFile, boot_id_ + "\n", 0444));
  return ReplaceTextFile(kMachineIdFile, MachineId(sandbox_id) + "\n", 0444);
}

absl::Status Identity::SetHostname(const std::string& hostname) {
  if (hostname.size() > kMaxHostnameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("host name of ", hostname.size(), " bytes"));
  }
  if (!hostname_changed_) {
    char before[kMaxHostnameBytes + 1] = {};
    ::gethostname(before, sizeof(before) - 1);
    hostname_before_ = before;
    hostname_changed_ = true;
  }
  if (::sethostname(hostname.data(), hostname.size()) != 0) return ErrnoStatus(errno, "sethostname");
  return absl::OkStatus();
}

void Identity::Forget() {
  boot_id_ = RandomUuid();
  if (!hostname_changed_) return;
  hostname_changed_ = false;
  if (::sethostname(hostname_before_.data(), hostname_before_.size()) != 0)
    Log("the host name stays: ", ErrnoStatus(errno, "sethostname").message());
}

}  // namespace podvisor::guest
