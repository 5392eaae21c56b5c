#include "daemon/nri_messages.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;

TEST(NriMessagesTest, PodAndContainerAreShownWhole) {
  HookPod pod;
  pod.id = "p1";
  pod.config.mutable_metadata()->set_name("web");
  pod.config.mutable_metadata()->set_namespace_("prod");
  pod.config.mutable_metadata()->set_uid("u1");
  (*pod.config.mutable_labels())["app"] = "web";
  pod.netns_path = "/run/netns/x";
  pod.ips = {"10.0.0.2"};
  const nri_api::PodSandbox message = ToNri(pod);
  EXPECT_EQ(message.name(), "web");
  EXPECT_EQ(message.namespace_(), "prod");
  EXPECT_EQ(message.uid(), "u1");
  EXPECT_EQ(message.labels().at("app"), "web");
  EXPECT_THAT(message.ips(), ElementsAre("10.0.0.2"));
  EXPECT_EQ(message.linux().namespaces(0).path(), "/run/netns/x");

  HookContainer container;
  container.id = "c1";
  container.sandbox_id = "p1";
  container.config.mutable_metadata()->set_name("app");
  container.state = ContainerState::kExited;
  container.exit_code = 3;
  container.finished_at = absl::FromUnixNanos(7);
  container.args = {"/bin/app"};
  MountConfig& mount = *container.config.add_mounts();
  mount.set_container_path("/data");
  mount.set_host_path("/srv");
  mount.set_readonly(true);
  container.resources.set_memory_limit_bytes(1 << 20);
  const nri_api::Container shown = ToNri(container);
  EXPECT_EQ(shown.name(), "app");
  EXPECT_EQ(shown.state(), nri_api::CONTAINER_STOPPED);
  EXPECT_EQ(shown.exit_code(), 3);
  EXPECT_EQ(shown.started_at(), 0);
  EXPECT_EQ(shown.finished_at(), 7);
  EXPECT_EQ(shown.mounts(0).source(), "/srv");
  EXPECT_EQ(shown.linux().resources().memory().limit().value(), 1 << 20);
  EXPECT_FALSE(shown.linux().resources().cpu().has_shares()) << "what is not set is not shown as zero";
}

TEST(NriMessagesTest, AdjustmentIsCarriedOver) {
  ContainerConfig config;
  (*config.mutable_env())["OLD"] = "1";
  config.add_env_order("OLD");
  (*config.mutable_annotations())["gone"] = "x";
  config.add_args("-v");
  nri_api::ContainerAdjustment adjustment;
  nri_api::KeyValue& added = *adjustment.add_env();
  added.set_key("NEW");
  added.set_value("2");
  adjustment.add_env()->set_key("-OLD");
  (*adjustment.mutable_annotations())["-gone"] = "";
  (*adjustment.mutable_annotations())["new"] = "y";
  adjustment.add_args("/bin/other");
  nri_api::Mount& mount = *adjustment.add_mounts();
  mount.set_source("/srv");
  mount.set_destination("/data");
  mount.add_options("rbind");
  mount.add_options("ro");
  nri_api::POSIXRlimit& limit = *adjustment.add_rlimits();
  limit.set_type("RLIMIT_NOFILE");
  limit.set_hard(20);
  limit.set_soft(10);
  nri_api::LinuxContainerAdjustment& linux = *adjustment.mutable_linux();
  linux.mutable_oom_score_adj()->set_value(100);
  linux.mutable_resources()->mutable_pids()->set_limit(50);
  linux.mutable_resources()->mutable_memory()->mutable_reservation()->set_value(4096);
  linux.mutable_resources()->mutable_cpu()->mutable_shares()->set_value(512);
  ASSERT_OK(Apply(adjustment, &config));
  EXPECT_EQ(config.env().at("NEW"), "2");
  EXPECT_EQ(config.env().count("OLD"), 0u);
  EXPECT_THAT(config.env_order(), ElementsAre("NEW"));
  EXPECT_THAT(config.env_unset(), ElementsAre("OLD"));
  EXPECT_EQ(config.annotations().count("gone"), 0u);
  EXPECT_EQ(config.annotations().at("new"), "y");
  EXPECT_THAT(config.command(), ElementsAre("/bin/other"));
  EXPECT_EQ(config.args_size(), 0);
  EXPECT_EQ(config.mounts(0).host_path(), "/srv");
  EXPECT_TRUE(config.mounts(0).readonly());
  EXPECT_EQ(config.rlimits(0).soft(), 10u);
  EXPECT_EQ(config.resources().oom_score_adj(), 100);
  EXPECT_EQ(config.resources().cpu_shares(), 512);
  EXPECT_EQ(config.resources().unified().at("pids.max"), "50");
  EXPECT_EQ(config.resources().unified().at("memory.low"), "4096");
}

TEST(NriMessagesTest, MountOfNoHostPathIsRefused) {
  ContainerConfig config;
  nri_api::ContainerAdjustment adjustment;
  nri_api::Mount& mount = *adjustment.add_mounts();
  mount.set_source("relative");
  mount.set_destination("/data");
  EXPECT_THAT(Apply(adjustment, &config), StatusIs(absl::StatusCode::kInvalidArgument, "relative"));
}

}  // namespace
}  // namespace podvisor
