#include "cli/run_config.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::cli {
namespace {

RunArguments Arguments() {
  RunArguments arguments;
  arguments.name = "a";
  arguments.image = "busybox";
  return arguments;
}

TEST(RunConfigTest, CommandReplacesTheImagesCommandOnly) {
  RunArguments arguments = Arguments();
  arguments.command = {"sh", "-c", "x"};
  const auto config = ContainerConfigOf(arguments);
  ASSERT_OK(config);
  EXPECT_EQ(config->command_size(), 0);
  EXPECT_THAT(config->args(), testing::ElementsAre("sh", "-c", "x"));
}

TEST(RunConfigTest, Ports) {
  RunArguments arguments = Arguments();
  arguments.ports = {"8080:80", "127.0.0.1:53:5353/udp", "[::1]:1:2"};
  const auto config = SandboxConfigOf(arguments, "/logs");
  ASSERT_OK(config);
  EXPECT_EQ(config->port_mappings(0).host_port(), 8080);
  EXPECT_EQ(config->port_mappings(0).container_port(), 80);
  EXPECT_EQ(config->port_mappings(1).host_ip(), "127.0.0.1");
  EXPECT_EQ(config->port_mappings(1).protocol(), runtime::v1::UDP);
  EXPECT_EQ(config->port_mappings(2).host_ip(), "::1");
  for (const char* bad : {"80", "0:80", "80:x", "80:65536", "1:2/icmp", ":80"}) {
    arguments.ports = {bad};
    EXPECT_THAT(SandboxConfigOf(arguments, "/logs"), StatusIs(absl::StatusCode::kInvalidArgument, bad)) << bad;
  }
}

TEST(RunConfigTest, Volumes) {
  RunArguments arguments = Arguments();
  arguments.volumes = {"/tmp:/data:ro", "/tmp:/rw"};
  const auto config = ContainerConfigOf(arguments);
  ASSERT_OK(config);
  EXPECT_EQ(config->mounts(0).container_path(), "/data");
  EXPECT_TRUE(config->mounts(0).readonly());
  EXPECT_FALSE(config->mounts(1).readonly());
  for (const char* bad : {"/tmp", "/tmp:relative", "/tmp:/x:rx", ":/x"}) {
    arguments.volumes = {bad};
    EXPECT_THAT(ContainerConfigOf(arguments), StatusIs(absl::StatusCode::kInvalidArgument, bad)) << bad;
  }
  arguments.volumes = {"/no/such/place:/x"};
  EXPECT_THAT(ContainerConfigOf(arguments), StatusIs(absl::StatusCode::kNotFound, "/no/such/place"));
}

TEST(RunConfigTest, UserAndMemory) {
  RunArguments arguments = Arguments();
  arguments.user = "1000:50";
  arguments.memory = "64m";
  auto config = ContainerConfigOf(arguments);
  ASSERT_OK(config);
  EXPECT_EQ(config->linux().security_context().run_as_user().value(), 1000);
  EXPECT_EQ(config->linux().security_context().run_as_group().value(), 50);
  EXPECT_EQ(config->linux().resources().memory_limit_in_bytes(), 64 << 20);
  arguments.user = "www-data";
  config = ContainerConfigOf(arguments);
  ASSERT_OK(config);
  EXPECT_EQ(config->linux().security_context().run_as_username(), "www-data");
  for (const char* bad : {"x", "-1m", "0", "9999999999g"}) {
    arguments.memory = bad;
    EXPECT_THAT(ContainerConfigOf(arguments), StatusIs(absl::StatusCode::kInvalidArgument, bad)) << bad;
  }
}

TEST(RunConfigTest, EnvironmentHasAKey) {
  RunArguments arguments = Arguments();
  arguments.env = {"A=b=c"};
  const auto config = ContainerConfigOf(arguments);
  ASSERT_OK(config);
  EXPECT_EQ(config->envs(0).value(), "b=c");
  arguments.env = {"novalue"};
  EXPECT_THAT(ContainerConfigOf(arguments), StatusIs(absl::StatusCode::kInvalidArgument, "novalue"));
}

}  // namespace
}  // namespace podvisor::cli
