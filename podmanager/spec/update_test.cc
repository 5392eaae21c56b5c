#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/spec/container_spec.h"

namespace podvisor {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(UpdateTest, ZeroLeavesWhatIs) {
  Resources current, update;
  current.set_cpu_shares(512);
  current.set_memory_limit_bytes(1 << 20);
  current.set_cpuset_cpus("0");
  (*current.mutable_unified())["a"] = "1";
  update.set_memory_limit_bytes(2 << 20);
  (*update.mutable_unified())["b"] = "2";
  const Resources merged = MergeResources(current, update);
  EXPECT_EQ(merged.cpu_shares(), 512);
  EXPECT_EQ(merged.memory_limit_bytes(), 2 << 20);
  EXPECT_EQ(merged.cpuset_cpus(), "0");
  EXPECT_EQ(merged.unified().size(), 2u);
  auto request = BuildUpdate("c1", merged);
  ASSERT_OK(request);
  EXPECT_EQ(request->container_id(), "c1");
  EXPECT_EQ(request->resources().memory().limit(), 2 << 20);
  EXPECT_EQ(request->resources().cpu().shares(), 512u);
  update.set_cpu_shares(-1);
  EXPECT_THAT(BuildUpdate("c1", update), StatusIs(kInvalid, "container c1"));
}

}  // namespace
}  // namespace podvisor
