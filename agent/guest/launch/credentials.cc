#include "agent/guest/launch/credentials.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

// By number: linux/capability.h.
constexpr const char* kCapabilities[] = {"CHOWN",
                                         "DAC_OVERRIDE",
                                         "DAC_READ_SEARCH",
                                         "FOWNER",
                                         "FSETID",
                                         "KILL",
                                         "SETGID",
                                         "SETUID",
                                         "SETPCAP",
                                         "LINUX_IMMUTABLE",
                                         "NET_BIND_SERVICE",
                                         "NET_BROADCAST",
                                         "NET_ADMIN",
                                         "NET_RAW",
                                         "IPC_LOCK",
                                         "IPC_OWNER",
                                         "SYS_MODULE",
                                         "SYS_RAWIO",
                                         "SYS_CHROOT",
                                         "SYS_PTRACE",
                                         "SYS_PACCT",
                                         "SYS_ADMIN",
                                         "SYS_BOOT",
                                         "SYS_NICE",
                                         "SYS_RESOURCE",
                                         "SYS_TIME",
                                         "SYS_TTY_CONFIG",
                                         "MKNOD",
                                         "LEASE",
                                         "AUDIT_WRITE",
                                         "AUDIT_CONTROL",
                                         "SETFCAP",
                                         "MAC_OVERRIDE",
                                         "MAC_ADMIN",
                                         "SYSLOG",
                                         "WAKE_ALARM",
                                         "BLOCK_SUSPEND",
                                         "AUDIT_READ",
                                         "PERFMON",
                                         "BPF",
                                         "CHECKPOINT_RESTORE"};

struct Limit {
  const char* name;
  int number;
};
constexpr Limit kLimits[] = {
    {"AS", RLIMIT_AS},           {"CORE", RLIMIT_CORE},         {"CPU", RLIMIT_CPU},
    {"DATA", RLIMIT_DATA},       {"FSIZE", RLIMIT_FSIZE},       {"LOCKS", RLIMIT_LOCKS},
    {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
    {"NOFILE", RLIMIT_NOFILE},   {"NPROC", RLIMIT_NPROC},       {"RSS", RLIMIT_RSS},
    {"RTPRIO", RLIMIT_RTPRIO},   {"RTTIME", RLIMIT_RTTIME},     {"SIGPENDING", RLIMIT_SIGPENDING},
    {"STACK", RLIMIT_STACK}};

absl::string_view WithoutPrefix(absl::string_view name, absl::string_view prefix) {
  if (name.substr(0, prefix.size()) == prefix) name.remove_prefix(prefix.size());
  return name;
}

int FindLastCapability() {
  int last = 0;
  while (::prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) ++last;
  return last;
}

// What the kernel does not know cannot be dropped or kept. Found before the first fork: children need not ask again.
const int last_capability = FindLastCapability();

}  // namespace

int CapabilityNumber(absl::string_view name) {
  name = WithoutPrefix(name, "CAP_");
  for (size_t i = 0; i < std::size(kCapabilities); ++i) {
    if (name == kCapabilities[i]) return static_cast<int>(i);
  }
  return -1;
}

uint64_t CapabilityMask(const CapabilityNames& names) {
  uint64_t mask = 0;
  for (const std::string& name : names) {
    const int number = CapabilityNumber(name);
    if (number >= 0) mask |= uint64_t{1} << number;
  }
  return mask;
}

int RlimitNumber(absl::string_view name) {
  name = WithoutPrefix(name, "RLIMIT_");
  for (const Limit& limit : kLimits) {
    if (name == limit.name) return limit.number;
  }
  return -1;
}

absl::Status ApplyRlimits(const grpc::Process& process) {
  for (const grpc::POSIXRlimit& limit : process.rlimits()) {
    const int number = RlimitNumber(limit.type());
    if (number < 0) return absl::InvalidArgumentError(absl::StrCat("unknown rlimit \"", limit.type(), "\""));
    const rlimit value{.rlim_cur = limit.soft(), .rlim_max = limit.hard()};
    if (::setrlimit(static_cast<__rlimit_resource>(number), &value) != 0) {
      return ErrnoStatus(errno, absl::StrCat("rlimit ", limit.type()));
    }
  }
  return absl::OkStatus();
}

absl::Status DropBoundingSet(const grpc::LinuxCapabilities& capabilities) {
  const uint64_t kept = CapabilityMask(capabilities.bounding());
  for (int number = 0; number <= last_capability; ++number) {
    if ((kept >> number & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0)
      return ErrnoStatus(errno, "drop a capability from the bounding set");
  }
  return absl::OkStatus();
}

absl::Status BecomeUser(const ResolvedUser& user) {
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "keep capabilities");
  if (::setgroups(user.groups.size(), user.groups.data()) != 0) return ErrnoStatus(errno, "setgroups");
  if (::setresgid(user.gid, user.gid, user.gid) != 0) return ErrnoStatus(errno, absl::StrCat("setgid ", user.gid));
  if (::setresuid(user.uid, user.uid, user.uid) != 0) return ErrnoStatus(errno, absl::StrCat("setuid ", user.uid));
  return absl::OkStatus();
}

absl::Status ApplyCapabilities(const grpc::LinuxCapabilities& capabilities) {
  const uint64_t last_bit = uint64_t{1} << last_capability;
  const uint64_t known = last_bit | (last_bit - 1);
  const uint64_t effective = CapabilityMask(capabilities.effective()) & known;
  const uint64_t permitted = CapabilityMask(capabilities.permitted()) & known;
  const uint64_t inheritable = CapabilityMask(capabilities.inheritable()) & known;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2];
  for (int half = 0; half < 2; ++half) {
    data[half] = {.effective = static_cast<uint32_t>(effective >> (32 * half)),
                  .permitted = static_cast<uint32_t>(permitted >> (32 * half)),
                  .inheritable = static_cast<uint32_t>(inheritable >> (32 * half))};
  }
  if (::syscall(SYS_capset, &header, data) != 0) return ErrnoStatus(errno, "capset");
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const uint64_t ambient = CapabilityMask(capabilities.ambient()) & known;
  for (int number = 0; number < 64; ++number) {
    if ((ambient >> number & 1) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0) {
      return ErrnoStatus(errno, absl::StrCat("ambient capability ", number));
    }
  }
  return absl::OkStatus();
}

}  // namespace podvisor::guest
