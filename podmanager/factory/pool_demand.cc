#include "podmanager/factory/pool_demand.h"

#include <algorithm>
#include <cstddef>

namespace podvisor {

void PoolDemand::Asked(absl::Time now) {
  asked_.push_back(now);
  // Those before say nothing that matters: the pool is never larger than its maximum.
  while (asked_.size() > 2 * static_cast<size_t>(std::max(1, size_.max))) asked_.pop_front();
}

int PoolDemand::Wanted(absl::Time now) {
  if (size_.size > 0) return size_.size;
  while (!asked_.empty() && asked_.front() < now - kMemory) asked_.pop_front();
  size_t peak = 0;
  size_t first = 0;
  for (size_t last = 0; last < asked_.size(); ++last) {
    while (asked_[last] - asked_[first] > kBurst) ++first;
    peak = std::max(peak, last - first + 1);
  }
  return std::clamp(static_cast<int>(peak), std::min(size_.min, size_.max), size_.max);
}

absl::Time PoolDemand::NextChange() const {
  if (size_.size > 0 || asked_.empty()) return absl::InfiniteFuture();
  return asked_.front() + kMemory;
}

}  // namespace podvisor
