#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/guest/runtime/cgroup.h"

namespace podvisor::guest {
namespace {

constexpr uint64_t kDefaultPeriodUs = 100'000;

// -1 (and in CRI 0, which never gets here) means "no limit".
std::string OrMax(int64_t value) { return value < 0 ? "max" : absl::StrCat(value); }

void AddMemory(const grpc::LinuxMemory& memory, std::vector<CgroupSetting>* settings) {
  if (memory.limit() != 0) settings->push_back({"memory.max", OrMax(memory.limit())});
  if (memory.reservation() != 0) settings->push_back({"memory.low", OrMax(memory.reservation())});
  // v1 counts memory and swap together, v2 swap alone.
  if (memory.swap() < 0) {
    settings->push_back({"memory.swap.max", "max"});
  } else if (memory.swap() > 0 && memory.limit() > 0) {
    settings->push_back({"memory.swap.max", absl::StrCat(memory.swap() - memory.limit())});
  }
}

void AddCpu(const grpc::LinuxCPU& cpu, std::vector<CgroupSetting>* settings) {
  if (cpu.shares() != 0) settings->push_back({"cpu.weight", absl::StrCat(WeightFromShares(cpu.shares()))});
  if (cpu.quota() != 0 || cpu.period() != 0) {
    const uint64_t period = cpu.period() != 0 ? cpu.period() : kDefaultPeriodUs;
    settings->push_back({"cpu.max", absl::StrCat(cpu.quota() > 0 ? OrMax(cpu.quota()) : "max", " ", period)});
  }
  if (!cpu.cpus().empty()) settings->push_back({"cpuset.cpus", cpu.cpus()});
  if (!cpu.mems().empty()) settings->push_back({"cpuset.mems", cpu.mems()});
}

}  // namespace

uint64_t WeightFromShares(uint64_t shares) {
  const uint64_t clamped = std::clamp<uint64_t>(shares, 2, 262144);
  return 1 + (clamped - 2) * 9999 / 262142;
}

absl::StatusOr<std::vector<CgroupSetting>> SettingsFrom(const grpc::LinuxResources& resources) {
  std::vector<CgroupSetting> settings;
  const grpc::LinuxMemory& memory = resources.memory();
  if (memory.swap() > 0 && memory.limit() > 0 && memory.swap() < memory.limit()) {
    return absl::InvalidArgumentError(
        absl::StrCat("memory+swap limit ", memory.swap(), " is below the memory limit ", memory.limit()));
  }
  AddMemory(memory, &settings);
  AddCpu(resources.cpu(), &settings);
  if (resources.pids().limit() != 0) settings.push_back({"pids.max", OrMax(resources.pids().limit())});
  for (const grpc::LinuxHugepageLimit& limit : resources.hugepagelimits()) {
    if (limit.pagesize().find('/') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("hugepage size ", limit.pagesize(), " is none"));
    }
    settings.push_back({absl::StrCat("hugetlb.", limit.pagesize(), ".max"), absl::StrCat(limit.limit())});
  }
  if (resources.blockio().weight() != 0) {
    settings.push_back({"io.weight", absl::StrCat("default ", resources.blockio().weight())});
  }
  return settings;
}

}  // namespace podvisor::guest
