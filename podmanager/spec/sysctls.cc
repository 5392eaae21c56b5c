#include "podmanager/spec/sysctls.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr absl::string_view kIpc[] = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
};

// "net.ipv4.conf.eth0/1.x" stands for a name with a dot in it; with slashes it is the other way round.
std::string WithDots(const std::string& name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '.') return name;
  return absl::StrReplaceAll(name, {{"/", "."}, {".", "/"}});
}

absl::Status Check(const std::string& name, const std::string& value) {
  const auto allowed = [](unsigned char c) { return absl::ascii_isalnum(c) || absl::StrContains("._/-", c); };
  if (!std::all_of(name.begin(), name.end(), allowed))
    return absl::InvalidArgumentError(absl::StrCat("sysctl \"", name, "\": not a name"));
  for (absl::string_view part : absl::StrSplit(name, '.'))
    if (part.empty() || absl::StartsWith(part, "/") || absl::EndsWith(part, "/") || absl::StrContains(part, "//"))
      return absl::InvalidArgumentError(absl::StrCat("sysctl \"", name, "\": not a name"));
  if (value.find_first_of(std::string_view("\n\0", 2)) != std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("sysctl ", name, ": the value holds a line break"));
  const bool ipc = std::find(std::begin(kIpc), std::end(kIpc), name) != std::end(kIpc);
  if (!ipc && !absl::StartsWith(name, "net.") && !absl::StartsWith(name, "fs.mqueue."))
    return absl::InvalidArgumentError(
        absl::StrCat("sysctl ", name, " is not namespaced: pods may set net.*, fs.mqueue.* and those of System V IPC"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<google::protobuf::Map<std::string, std::string>> PodSysctls(const SandboxConfig& config) {
  google::protobuf::Map<std::string, std::string> sysctls;
  sysctls["net.ipv4.ip_unprivileged_port_start"] = "0";
  sysctls["net.ipv4.ping_group_range"] = "0 2147483647";
  for (const auto& [name, value] : config.sysctls()) {
    const std::string dotted = WithDots(name);
    RETURN_IF_ERROR(Check(dotted, value));
    sysctls[dotted] = value;
  }
  return sysctls;
}

}  // namespace podvisor
