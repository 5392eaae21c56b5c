#include "podmanager/stats/usage_history.h"

#include <thread>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

agent::v1::GetStatsResponse Figures(uint64_t pod_us, uint64_t container_us) {
  agent::v1::GetStatsResponse figures;
  figures.mutable_pod()->set_cpu_usage_us(pod_us);
  agent::v1::ContainerUsage& container = *figures.add_containers();
  container.set_container_id("c");
  container.mutable_cgroup()->set_cpu_usage_us(container_us);
  return figures;
}

TEST(UsageHistoryTest, RatesAreOfTheTimeSinceTheAnswerBefore) {
  UsageHistory history;
  EXPECT_EQ(history.Newest(), nullptr);
  history.Answer(Figures(1'000'000, 500'000), kStart);
  EXPECT_TRUE(history.Newest()->nano_cores.empty());
  history.Answer(Figures(4'000'000, 1'000'000), kStart + absl::Seconds(2));
  EXPECT_EQ(history.Newest()->nano_cores.at(""), 1'500'000'000u);
  EXPECT_EQ(history.Newest()->nano_cores.at("c"), 250'000'000u);
}

TEST(UsageHistoryTest, ACounterThatWentBackHasNoRate) {
  UsageHistory history;
  history.Answer(Figures(9, 9), kStart);
  history.Answer(Figures(10, 1), kStart + absl::Seconds(1));
  EXPECT_EQ(history.Newest()->nano_cores.count("c"), 0u);
  EXPECT_EQ(history.Newest()->nano_cores.count(""), 1u);
}

TEST(UsageHistoryTest, AnErrorKeepsTheFigures) {
  UsageHistory history;
  history.Answer(Figures(1, 1), kStart);
  const auto before = history.Newest();
  history.Answer(absl::UnavailableError("gone"), kStart + absl::Seconds(1));
  EXPECT_EQ(history.Newest(), before);
}

TEST(UsageHistoryTest, OneAsksAndTheOthersWait) {
  UsageHistory history;
  EXPECT_TRUE(history.BeginAsking());
  EXPECT_FALSE(history.BeginAsking());
  EXPECT_FALSE(history.AwaitAnswer(absl::InfinitePast()));
  std::thread guest([&history] { history.Answer(Figures(1, 1), kStart); });
  EXPECT_TRUE(history.AwaitAnswer(absl::InfiniteFuture()));
  guest.join();
  EXPECT_TRUE(history.BeginAsking());
}

}  // namespace
}  // namespace podvisor
