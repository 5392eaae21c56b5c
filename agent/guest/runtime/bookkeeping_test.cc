// The parts of runtime/ that need no processes: output's buffer, limits, ids.
#include <random>

#include "absl/strings/str_cat.h"
#include "agent/guest/runtime/byte_ring.h"
#include "agent/guest/runtime/cgroup.h"
#include "agent/guest/runtime/container.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;

std::string Everything(const ByteRing& ring) {
  std::string all;
  while (ring.begin() + all.size() < ring.end())
    absl::StrAppend(&all, ring.Peek(ring.begin() + all.size(), ring.size()));
  return all;
}

TEST(ByteRing, KeepsWhatIsNotDropped) {
  ByteRing ring(8);
  ring.Append("abcdef");
  ring.DropBefore(4);
  EXPECT_EQ(ring.begin(), 4u);
  EXPECT_EQ(ring.end(), 6u);
  EXPECT_EQ(ring.room(), 6u);
  EXPECT_EQ(ring.Peek(4, 100), "ef");
  ring.Append("ghijkl");
  EXPECT_EQ(ring.room(), 0u);
  EXPECT_EQ(ring.Peek(5, 3), "fgh");
  EXPECT_EQ(ring.Peek(4, 100), "efgh");  // the others lie elsewhere
  EXPECT_EQ(ring.Peek(8, 100), "ijkl");
  EXPECT_EQ(ring.Peek(12, 3), "");
  ring.DropBefore(2);  // already gone
  EXPECT_EQ(ring.begin(), 4u);
}

TEST(ByteRing, FilledInPlace) {
  ByteRing ring(100 << 10);
  std::span<char> space = ring.Space(ring.room());
  ASSERT_EQ(space.size(), size_t{100 << 10});
  space[0] = 'x';
  ring.Commit(1);
  EXPECT_EQ(ring.Peek(0, 100), "x");
  ring.DropBefore(1);
  EXPECT_EQ(ring.Space(5).size(), 5u);
  EXPECT_EQ(ring.size(), 0u);
}

TEST(ByteRing, GrowsWithWhatItHas) {
  ByteRing ring(64 << 10);
  const std::string some(16 << 10, 'a'), more(40 << 10, 'b');
  ring.Append(some);
  ring.DropBefore(10 << 10);
  ring.Append(some);  // does not fit into what a small stream takes
  ring.Append(more);
  EXPECT_EQ(Everything(ring), some.substr(10 << 10) + some + more);
}

TEST(ByteRing, LikeAStreamUnderRandomUse) {
  std::mt19937 random(5);
  ByteRing ring(64);
  std::string all;
  for (int i = 0; i < 5000; ++i) {
    const std::string more(std::min<size_t>(random() % 20, ring.room()), static_cast<char>('a' + i % 26));
    ring.Append(more);
    all += more;
    if (random() % 2 == 0) ring.DropBefore(ring.begin() + random() % (ring.size() + 1));
    ASSERT_EQ(ring.end(), all.size());
    ASSERT_EQ(Everything(ring), all.substr(ring.begin()));
  }
}

TEST(CgroupSettings, OfAllKinds) {
  grpc::LinuxResources resources;
  resources.mutable_memory()->set_limit(1000);
  resources.mutable_memory()->set_swap(1500);
  resources.mutable_cpu()->set_shares(1024);
  resources.mutable_cpu()->set_quota(50000);
  resources.mutable_cpu()->set_cpus("0-1");
  resources.mutable_pids()->set_limit(-1);
  grpc::LinuxHugepageLimit* huge = resources.add_hugepagelimits();
  huge->set_pagesize("2MB");
  huge->set_limit(0);
  const auto settings = SettingsFrom(resources);
  ASSERT_OK(settings);
  EXPECT_THAT(*settings, ElementsAre(CgroupSetting{"memory.max", "1000"}, CgroupSetting{"memory.swap.max", "500"},
                                     CgroupSetting{"cpu.weight", "39"}, CgroupSetting{"cpu.max", "50000 100000"},
                                     CgroupSetting{"cpuset.cpus", "0-1"}, CgroupSetting{"pids.max", "max"},
                                     CgroupSetting{"hugetlb.2MB.max", "0"}));
}

TEST(CgroupSettings, NothingAskedNothingSet) { EXPECT_THAT(*SettingsFrom(grpc::LinuxResources()), IsEmpty()); }

TEST(CgroupSettings, Refused) {
  grpc::LinuxResources resources;
  resources.mutable_memory()->set_limit(1000);
  resources.mutable_memory()->set_swap(500);
  EXPECT_THAT(SettingsFrom(resources), StatusIs(StatusCode::kInvalidArgument, "below"));
  grpc::LinuxResources path;
  path.add_hugepagelimits()->set_pagesize("../../x");
  EXPECT_THAT(SettingsFrom(path), StatusIs(StatusCode::kInvalidArgument));
}

TEST(CgroupSettings, WeightsSpanTheRange) {
  EXPECT_EQ(WeightFromShares(0), 1u);
  EXPECT_EQ(WeightFromShares(2), 1u);
  EXPECT_EQ(WeightFromShares(262144), 10000u);
  EXPECT_EQ(WeightFromShares(1 << 30), 10000u);
}

TEST(ContainerId, Checked) {
  for (const char* good : {"a", "A.b_c-1", "...x"}) EXPECT_OK(CheckId(good, "id")) << good;
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string("a/b"),
                                 std::string("a\0b", 3), std::string("\n"), std::string(129, 'x')}) {
    EXPECT_THAT(CheckId(bad, "id"), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
}

}  // namespace
}  // namespace podvisor::guest
