#include "podmanager/stats/usage_history.h"

#include <optional>
#include <utility>

namespace podvisor {
namespace {

constexpr uint64_t kNanosPerMicro = 1000;

// Nothing if the counter has gone back, as that of a container made anew.
std::optional<uint64_t> Rate(const agent::v1::CgroupUsage& before, const agent::v1::CgroupUsage& now,
                             absl::Duration between) {
  if (now.cpu_usage_us() < before.cpu_usage_us() || between <= absl::ZeroDuration()) return std::nullopt;
  const double nanos = static_cast<double>(now.cpu_usage_us() - before.cpu_usage_us()) * kNanosPerMicro;
  return static_cast<uint64_t>(nanos / absl::ToDoubleSeconds(between));
}

void SetRates(const UsageSample& before, UsageSample& now) {
  const absl::Duration between = now.at - before.at;
  if (const auto rate = Rate(before.figures.pod(), now.figures.pod(), between)) now.nano_cores[""] = *rate;
  for (const agent::v1::ContainerUsage& container : now.figures.containers()) {
    const agent::v1::ContainerUsage* earlier = before.Find(container.container_id());
    if (earlier == nullptr) continue;
    if (const auto rate = Rate(earlier->cgroup(), container.cgroup(), between))
      now.nano_cores[container.container_id()] = *rate;
  }
}

}  // namespace

const agent::v1::ContainerUsage* UsageSample::Find(const std::string& container_id) const {
  for (const agent::v1::ContainerUsage& container : figures.containers()) {
    if (container.container_id() == container_id) return &container;
  }
  return nullptr;
}

std::shared_ptr<const UsageSample> UsageHistory::Newest() const {
  absl::MutexLock lock(&mu_);
  return newest_;
}

bool UsageHistory::BeginAsking() {
  absl::MutexLock lock(&mu_);
  return !std::exchange(asking_, true);
}

void UsageHistory::Answer(absl::StatusOr<agent::v1::GetStatsResponse> answer, absl::Time at) {
  auto sample = std::make_shared<UsageSample>();
  const bool answered = answer.ok();
  if (answered) {
    sample->at = at;
    sample->figures = *std::move(answer);
    if (const auto before = Newest()) SetRates(*before, *sample);
  }
  absl::MutexLock lock(&mu_);
  asking_ = false;
  if (answered) newest_ = std::move(sample);
}

bool UsageHistory::AwaitAnswer(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(this, &UsageHistory::Idle), deadline);
}

}  // namespace podvisor
