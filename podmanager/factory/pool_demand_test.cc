#include "podmanager/factory/pool_demand.h"

#include "gtest/gtest.h"

namespace podvisor {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

TEST(PoolDemandTest, FixedSizeIsFixed) {
  PoolDemand demand({.size = 3, .min = 1, .max = 2});
  for (int i = 0; i < 10; ++i) demand.Asked(kStart);
  EXPECT_EQ(demand.Wanted(kStart), 3);
  EXPECT_EQ(demand.NextChange(), absl::InfiniteFuture());
}

TEST(PoolDemandTest, FollowsTheLargestBurstAndForgetsIt) {
  PoolDemand demand({.min = 1, .max = 8});
  EXPECT_EQ(demand.Wanted(kStart), 1);
  EXPECT_EQ(demand.NextChange(), absl::InfiniteFuture());
  for (int i = 0; i < 5; ++i) demand.Asked(kStart + absl::Seconds(i));
  demand.Asked(kStart + absl::Seconds(60));  // alone
  EXPECT_EQ(demand.Wanted(kStart + absl::Seconds(60)), 5);
  EXPECT_EQ(demand.NextChange(), kStart + PoolDemand::kMemory);
  EXPECT_EQ(demand.Wanted(kStart + PoolDemand::kMemory + absl::Seconds(30)), 1);
  EXPECT_EQ(demand.Wanted(kStart + absl::Hours(1)), 1);
  EXPECT_EQ(demand.NextChange(), absl::InfiniteFuture());
}

TEST(PoolDemandTest, NeverMoreThanTheMaximum) {
  PoolDemand demand({.min = 0, .max = 4});
  EXPECT_EQ(demand.Wanted(kStart), 0);
  for (int i = 0; i < 1000; ++i) demand.Asked(kStart);
  EXPECT_EQ(demand.Wanted(kStart), 4);
}

TEST(PoolDemandTest, ASteadyRateIsNoBurst) {
  PoolDemand demand({.min = 1, .max = 100});
  for (int i = 0; i < 20; ++i) demand.Asked(kStart + i * absl::Seconds(6));
  EXPECT_EQ(demand.Wanted(kStart + absl::Seconds(120)), 2);
}

}  // namespace
}  // namespace podvisor
