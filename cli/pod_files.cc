#include "cli/pod_files.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace podvisor::cli {

std::string LogFolder(const std::string& pod_name) { return absl::StrCat("/var/log/podvisor/", pod_name); }

absl::StatusOr<std::string> MakeLogFolder(const std::string& pod_name) {
  const std::string folder = LogFolder(pod_name);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) std::filesystem::permissions(folder, std::filesystem::perms(0750), error);
  if (error) return absl::PermissionDeniedError(absl::StrCat("make log folder ", folder, ": ", error.message()));
  return folder;
}

absl::Status RemoveLogFolder(const std::string& pod_name) {
  // The name comes from the daemon's list of pods, which others fill too.
  if (pod_name.empty() || pod_name.find('/') != std::string::npos || pod_name[0] == '.') return absl::OkStatus();
  std::error_code error;
  std::filesystem::remove_all(LogFolder(pod_name), error);
  if (error) return absl::PermissionDeniedError(absl::StrCat("remove ", LogFolder(pod_name), ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace podvisor::cli
