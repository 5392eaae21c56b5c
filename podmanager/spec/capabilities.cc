#include "podmanager/spec/capabilities.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

// In the kernel's order (linux/capability.h), up to Linux 5.9: none has been added since.
constexpr const char* kAll[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

constexpr const char* kDefault[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE",
};

bool IsAll(absl::string_view name) { return absl::EqualsIgnoreCase(name, "ALL"); }

absl::StatusOr<std::string> Canonical(absl::string_view name, absl::string_view field) {
  std::string upper = absl::AsciiStrToUpper(name);
  if (!absl::StartsWith(upper, "CAP_")) upper = absl::StrCat("CAP_", upper);
  if (std::find(std::begin(kAll), std::end(kAll), upper) == std::end(kAll))
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": unknown capability \"", name, "\": Linux has none of that name"));
  return upper;
}

using Names = google::protobuf::RepeatedPtrField<std::string>;

absl::StatusOr<std::vector<std::string>> CanonicalList(const Names& names, absl::string_view field) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    if (IsAll(name)) continue;
    ASSIGN_OR_RETURN(std::string canonical, Canonical(name, field));
    result.push_back(std::move(canonical));
  }
  return result;
}

bool NamesAll(const Names& names) { return std::any_of(names.begin(), names.end(), IsAll); }

}  // namespace

absl::StatusOr<grpc::LinuxCapabilities> BuildCapabilities(const ContainerConfig& config) {
  ASSIGN_OR_RETURN(std::vector<std::string> add, CanonicalList(config.add_capabilities(), "add_capabilities"));
  ASSIGN_OR_RETURN(std::vector<std::string> drop, CanonicalList(config.drop_capabilities(), "drop_capabilities"));
  ASSIGN_OR_RETURN(std::vector<std::string> ambient,
                   CanonicalList(config.add_ambient_capabilities(), "add_ambient_capabilities"));

  std::set<std::string> held(std::begin(kDefault), std::end(kDefault));
  if (NamesAll(config.add_capabilities()) || config.privileged()) held.insert(std::begin(kAll), std::end(kAll));
  if (NamesAll(config.drop_capabilities()) && !config.privileged()) held.clear();
  held.insert(add.begin(), add.end());
  if (NamesAll(config.add_ambient_capabilities())) ambient.assign(std::begin(kAll), std::end(kAll));
  held.insert(ambient.begin(), ambient.end());
  if (!config.privileged())
    for (const std::string& name : drop) held.erase(name);

  grpc::LinuxCapabilities result;
  for (const std::string text : kAll) {  // in one order, whatever the input's
    if (held.count(text) == 0) continue;
    result.add_bounding(text);
    result.add_effective(text);
    result.add_permitted(text);
    if (std::find(ambient.begin(), ambient.end(), text) == ambient.end()) continue;
    result.add_inheritable(text);
    result.add_ambient(text);
  }
  return result;
}

std::set<std::string> BoundingSet(const grpc::LinuxCapabilities& capabilities) {
  return {capabilities.bounding().begin(), capabilities.bounding().end()};
}

}  // namespace podvisor
