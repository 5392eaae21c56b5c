#include "agent/guest/sysctls.h"

#include <utility>

#include "agent/guest/log.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {

absl::StatusOr<std::string> SysctlPath(const std::string& name) {
  std::string path = name;
  for (char& c : path) c = c == '.' ? '/' : c;
  if (path.empty() || path[0] == '/' || path.find("//") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("sysctl \"", name, "\""));
  }
  return "/proc/sys/" + path;
}

absl::Status SetSysctl(const std::string& name, const std::string& value) {
  ASSIGN_OR_RETURN(const std::string path, SysctlPath(name));
  RETURN_IF_ERROR(WriteTextFile(path, value), "sysctl ", name);
  return absl::OkStatus();
}

absl::Status Sysctls::Set(const std::string& name, const std::string& value) {
  Remember(name);
  return SetSysctl(name, value);
}

void Sysctls::Remember(const std::string& name) {
  const absl::StatusOr<std::string> path = SysctlPath(name);
  if (!path.ok() || before_.contains(*path)) return;
  const absl::StatusOr<std::string> value = ReadTextFile(*path);
  if (value.ok()) before_[*path] = *value;
}

void Sysctls::Restore() {
  for (const auto& [path, value] : std::exchange(before_, {})) {
    if (const absl::Status status = WriteTextFile(path, value); !status.ok()) Log("restore: ", status.message());
  }
}

}  // namespace podvisor::guest
