#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

// The kernel's form of CPU and memory node lists: "0-3,7". Empty: not limited.
absl::Status ValidateIndexList(const Field& field, absl::string_view list) {
  if (list.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(NoLongerThan(field, list, 4096));
  for (absl::string_view part : absl::StrSplit(list, ',')) {
    const std::pair<absl::string_view, absl::string_view> range = absl::StrSplit(part, absl::MaxSplits('-', 1));
    const bool single = part.find('-') == absl::string_view::npos;
    uint32_t first = 0;
    uint32_t last = 0;
    if (!absl::SimpleAtoi(range.first, &first) || (!single && !absl::SimpleAtoi(range.second, &last)) ||
        (!single && last < first)) {
      return field.Error(absl::StrCat("must be a list such as \"0-3,7\": ", list));
    }
  }
  return absl::OkStatus();
}

// "2MB", "1GB", "64KB": how the kubelet names page sizes.
bool IsPageSize(absl::string_view size) {
  const size_t digits = size.find_first_not_of("0123456789");
  if (digits == 0 || digits == absl::string_view::npos) return false;
  const absl::string_view unit = size.substr(digits);
  return unit == "KB" || unit == "MB" || unit == "GB";
}

}  // namespace

absl::Status ValidateResources(const Field& field, const ::runtime::v1::LinuxContainerResources& resources) {
  RETURN_IF_ERROR(NotNegative(field / "cpu_period", resources.cpu_period()));
  // The range of cpu.cfs_period_us and cpu.max.
  if (resources.cpu_period() != 0 && (resources.cpu_period() < 1000 || resources.cpu_period() > 1000000)) {
    return (field / "cpu_period").Error(absl::StrCat("must be 1000 to 1000000 microseconds: ", resources.cpu_period()));
  }
  // -1 means unlimited.
  if (resources.cpu_quota() < -1) {
    return (field / "cpu_quota").Error(absl::StrCat("must be -1 (unlimited) or more: ", resources.cpu_quota()));
  }
  RETURN_IF_ERROR(NotNegative(field / "cpu_shares", resources.cpu_shares()));
  RETURN_IF_ERROR(NotNegative(field / "memory_limit_in_bytes", resources.memory_limit_in_bytes()));
  if (resources.memory_swap_limit_in_bytes() < -1) {
    return (field / "memory_swap_limit_in_bytes")
        .Error(absl::StrCat("must be -1 (unlimited) or more: ", resources.memory_swap_limit_in_bytes()));
  }
  // The limit counts memory and swap together.
  if (resources.memory_swap_limit_in_bytes() > 0 &&
      resources.memory_swap_limit_in_bytes() < resources.memory_limit_in_bytes()) {
    return (field / "memory_swap_limit_in_bytes").Error("must not be below memory_limit_in_bytes");
  }
  if (resources.oom_score_adj() < -1000 || resources.oom_score_adj() > 1000) {
    return (field / "oom_score_adj").Error(absl::StrCat("must be -1000 to 1000: ", resources.oom_score_adj()));
  }
  RETURN_IF_ERROR(ValidateIndexList(field / "cpuset_cpus", resources.cpuset_cpus()));
  RETURN_IF_ERROR(ValidateIndexList(field / "cpuset_mems", resources.cpuset_mems()));
  const Field hugepages = field / "hugepage_limits";
  for (int i = 0; i < resources.hugepage_limits_size(); ++i) {
    const Field limit = hugepages[i];
    const std::string& size = resources.hugepage_limits(i).page_size();
    if (!IsPageSize(size)) {
      return (limit / "page_size").Error(absl::StrCat("must be a size such as \"2MB\": \"", size, "\""));
    }
  }
  const Field unified = field / "unified";
  for (const auto& [key, value] : resources.unified()) {
    // A file of a cgroup v2 folder: "memory.high".
    if (key.find('.') == std::string::npos || key.find('/') != std::string::npos || key.front() == '.') {
      return unified.Error(absl::StrCat("must be keyed by cgroup v2 file names such as \"memory.high\": ", key));
    }
    RETURN_IF_ERROR(NoLongerThan(unified / key, value, 4096));
  }
  return absl::OkStatus();
}

}  // namespace podvisor::cri
