#include "podmanager/spec/resources_spec.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/spec/container_spec.h"

namespace podvisor {
namespace {

absl::Status NotNegative(int64_t value, absl::string_view field) {
  if (value < 0) return absl::InvalidArgumentError(absl::StrCat("resources: ", field, " is negative: ", value));
  return absl::OkStatus();
}

// "2MB", "1GB", "64KB": as /sys/fs/cgroup names them.
bool IsPageSize(const std::string& text) {
  uint64_t number = 0;
  return text.size() > 2 && text.back() == 'B' && absl::StrContains("KMG", text[text.size() - 2]) &&
         absl::SimpleAtoi(text.substr(0, text.size() - 2), &number) && number > 0;
}

// "0-3,7": nothing else may reach a file of the guest's cgroup.
bool IsCpuList(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isdigit(c) || c == ',' || c == '-' || c == ' '; });
}

}  // namespace

absl::StatusOr<grpc::LinuxResources> BuildResources(const Resources& resources) {
  RETURN_IF_ERROR(NotNegative(resources.cpu_shares(), "cpu_shares"));
  RETURN_IF_ERROR(NotNegative(resources.cpu_period(), "cpu_period"));
  RETURN_IF_ERROR(NotNegative(resources.memory_limit_bytes(), "memory_limit_in_bytes"));
  for (const std::string* list : {&resources.cpuset_cpus(), &resources.cpuset_mems()})
    if (!IsCpuList(*list))
      return absl::InvalidArgumentError(absl::StrCat("resources: \"", *list, "\" is not a list like 0-3,7"));

  grpc::LinuxResources result;
  grpc::LinuxCPU& cpu = *result.mutable_cpu();
  cpu.set_shares(static_cast<uint64_t>(resources.cpu_shares()));
  cpu.set_quota(resources.cpu_quota());
  cpu.set_period(static_cast<uint64_t>(resources.cpu_period()));
  cpu.set_cpus(resources.cpuset_cpus());
  cpu.set_mems(resources.cpuset_mems());

  grpc::LinuxMemory& memory = *result.mutable_memory();
  memory.set_limit(resources.memory_limit_bytes());
  // Memory and swap together. Equal to the limit means no swap, containerd's default.
  memory.set_swap(resources.memory_swap_limit_bytes() != 0 ? resources.memory_swap_limit_bytes()
                                                           : resources.memory_limit_bytes());
  for (const char* key : {"memory.min", "memory.low"}) {
    auto it = resources.unified().find(key);
    int64_t bytes = 0;
    if (it != resources.unified().end() && absl::SimpleAtoi(it->second, &bytes))
      memory.set_reservation(std::max(memory.reservation(), bytes));
  }

  const std::map<std::string, uint64_t> hugepages(resources.hugepage_limits().begin(),
                                                  resources.hugepage_limits().end());
  for (const auto& [size, limit] : hugepages) {
    if (!IsPageSize(size))
      return absl::InvalidArgumentError(absl::StrCat("resources: hugepage size \"", size, "\" is not like 2MB"));
    grpc::LinuxHugepageLimit& entry = *result.add_hugepagelimits();
    entry.set_pagesize(size);
    entry.set_limit(limit);
  }
  return result;
}

Resources MergeResources(const Resources& current, const Resources& update) {
  Resources merged = current;
  merged.MergeFrom(update);  // proto3: a member that is zero or empty is not merged; map entries by key
  return merged;
}

absl::StatusOr<grpc::UpdateContainerRequest> BuildUpdate(const std::string& container_id, const Resources& resources) {
  grpc::UpdateContainerRequest request;
  request.set_container_id(container_id);
  ASSIGN_OR_RETURN(*request.mutable_resources(), BuildResources(resources), "container ", container_id);
  return request;
}

}  // namespace podvisor
