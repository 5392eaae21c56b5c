#include "agent/guest/sysctls.h"

#include <stdlib.h>
#include <unistd.h>

#include <utility>

#include "agent/guest/log.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

absl::Status Write(const std::string& path, const std::string& value, uid_t owner) {
  absl::Status status = WriteTextFile(path, value);
  if (!absl::IsPermissionDenied(status) || owner == 0 || ::seteuid(owner) != 0) return status;
  status = WriteTextFile(path, value);
  if (::seteuid(0) != 0) ::abort();  // nothing would work any more
  return status;
}

}  // namespace

absl::StatusOr<std::string> SysctlPath(const std::string& name) {
  std::string path = name;
  for (char& c : path) c = c == '.' ? '/' : c;
  if (path.empty() || path[0] == '/' || path.find("//") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("sysctl \"", name, "\""));
  }
  return "/proc/sys/" + path;
}

absl::Status SetSysctl(const std::string& name, const std::string& value, uid_t owner) {
  ASSIGN_OR_RETURN(const std::string path, SysctlPath(name));
  RETURN_IF_ERROR(Write(path, value, owner), "sysctl ", name);
  return absl::OkStatus();
}

absl::Status Sysctls::Set(const std::string& name, const std::string& value, uid_t owner) {
  Remember(name);
  return SetSysctl(name, value, owner);
}

void Sysctls::Remember(const std::string& name) {
  const absl::StatusOr<std::string> path = SysctlPath(name);
  if (!path.ok() || before_.contains(*path)) return;
  const absl::StatusOr<std::string> value = ReadTextFile(*path);
  if (value.ok()) before_[*path] = *value;
}

void Sysctls::Restore(uid_t owner) {
  for (const auto& [path, value] : std::exchange(before_, {})) {
    if (const absl::Status status = Write(path, value, owner); !status.ok()) Log("restore: ", status.message());
  }
}

}  // namespace podvisor::guest
