// How many VMs a pool should have ready.
#ifndef PODVISOR_PODMANAGER_FACTORY_POOL_DEMAND_H_
#define PODVISOR_PODMANAGER_FACTORY_POOL_DEMAND_H_

#include <cstdint>
#include <deque>

#include "absl/time/time.h"

namespace podvisor {

struct PoolSize {
  int size = 0;                        // fixed; 0: between min and max, by demand
  int min = 1;                         // per kind of guest
  int max = 8;                         // likewise
  uint64_t memory_bytes = 1ull << 30;  // of all waiting VMs together (PSS)
};

// Remembers requests: as many VMs are wanted as were asked for within any ten seconds of the last five minutes. Not
// thread-safe.
class PoolDemand {
 public:
  static constexpr absl::Duration kBurst = absl::Seconds(10);
  static constexpr absl::Duration kMemory = absl::Minutes(5);

  explicit PoolDemand(PoolSize size) : size_(size) {}

  void Asked(absl::Time now);
  int Wanted(absl::Time now);
  // When Wanted() may be less than now; InfiniteFuture() if never.
  absl::Time NextChange() const;

 private:
  const PoolSize size_;
  std::deque<absl::Time> asked_;  // oldest first, bounded
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_POOL_DEMAND_H_
