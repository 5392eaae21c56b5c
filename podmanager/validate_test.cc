#include "podmanager/validate.h"

#include <functional>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/network_request.h"

namespace podvisor {
namespace {

using absl::StatusCode;

SandboxConfig Pod() {
  SandboxConfig config;
  config.mutable_metadata()->set_name("pod");
  return config;
}

TEST(ValidateSandboxTest, RefusesByField) {
  struct Case {
    std::function<void(SandboxConfig&)> spoil;
    StatusCode code;
    const char* field;
  };
  const Case cases[] = {
      {[](SandboxConfig& c) { c.mutable_metadata()->clear_name(); }, StatusCode::kInvalidArgument, "metadata.name"},
      {[](SandboxConfig& c) { c.set_log_directory("logs"); }, StatusCode::kInvalidArgument, "log_directory"},
      {[](SandboxConfig& c) { c.set_cgroup_parent("/a/../b"); }, StatusCode::kInvalidArgument, "cgroup_parent"},
      {[](SandboxConfig& c) { c.add_port_mappings()->set_host_port(70000); }, StatusCode::kInvalidArgument,
       "port_mappings[0]"},
      {[](SandboxConfig& c) { c.add_port_mappings()->set_host_port(80); }, StatusCode::kInvalidArgument,
       "port_mappings[0]"},
      {[](SandboxConfig& c) { (*c.mutable_annotations())["kubernetes.io/egress-bandwidth"] = "fast"; },
       StatusCode::kInvalidArgument, "egress-bandwidth"},
      {[](SandboxConfig& c) { c.mutable_namespaces()->set_network(NODE); }, StatusCode::kUnimplemented, "network"},
  };
  EXPECT_OK(ValidateSandboxConfig(Pod()));
  for (const Case& test : cases) {
    SandboxConfig config = Pod();
    test.spoil(config);
    EXPECT_THAT(ValidateSandboxConfig(config), StatusIs(test.code, test.field)) << config.ShortDebugString();
  }
}

TEST(ValidateContainerTest, RefusesByField) {
  ContainerConfig good;
  good.mutable_metadata()->set_name("c");
  good.set_image("busybox");
  struct Case {
    std::function<void(ContainerConfig&)> spoil;
    StatusCode code;
    const char* field;
  };
  const Case cases[] = {
      {[](ContainerConfig& c) { c.mutable_metadata()->clear_name(); }, StatusCode::kInvalidArgument, "metadata.name"},
      {[](ContainerConfig& c) { c.clear_image(); }, StatusCode::kInvalidArgument, "image"},
      {[](ContainerConfig& c) { c.set_log_path("../other.log"); }, StatusCode::kInvalidArgument, "log_path"},
      {[](ContainerConfig& c) { c.add_mounts()->set_host_path("/tmp"); }, StatusCode::kInvalidArgument, "mounts[0]"},
      {[](ContainerConfig& c) { c.add_mounts()->set_container_path("/x"); }, StatusCode::kInvalidArgument, "mounts[0]"},
      {[](ContainerConfig& c) {
         c.add_mounts()->set_container_path("/x");
         c.mutable_mounts(0)->set_image("data");
       },
       StatusCode::kInvalidArgument, "mounts[0]"},
  };
  EXPECT_OK(ValidateContainerConfig(good));
  for (const Case& test : cases) {
    ContainerConfig config = good;
    test.spoil(config);
    EXPECT_THAT(ValidateContainerConfig(config), StatusIs(test.code, test.field)) << config.ShortDebugString();
  }
}

TEST(NetworkRequestTest, BandwidthIsAKubernetesQuantity) {
  EXPECT_EQ(ParseBandwidth("10M").value(), 10'000'000u);
  EXPECT_EQ(ParseBandwidth("1Gi").value(), 1073741824u);
  EXPECT_EQ(ParseBandwidth("2500").value(), 2500u);
  EXPECT_EQ(ParseBandwidth("1e6").value(), 1'000'000u);
  for (const char* bad : {"", "M", "-1M", "10", "2P", "nan", "10X"}) {
    EXPECT_THAT(ParseBandwidth(bad), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(NetworkRequestTest, CarriesHostPortsOnly) {
  SandboxConfig config = Pod();
  config.add_port_mappings()->set_container_port(80);
  PortMappingConfig& mapped = *config.add_port_mappings();
  mapped.set_container_port(53);
  mapped.set_host_port(5353);
  mapped.set_protocol(PortMappingConfig::UDP);
  mapped.set_host_ip("127.0.0.1");
  (*config.mutable_annotations())["kubernetes.io/ingress-bandwidth"] = "1M";
  const NetworkRequest request = MakeNetworkRequest("id", config, "/ns");
  ASSERT_EQ(request.port_mappings.size(), 1u);
  EXPECT_EQ(request.port_mappings[0].protocol, "udp");
  EXPECT_EQ(request.port_mappings[0].host_port, 5353);
  EXPECT_EQ(request.port_mappings[0].host_ip, "127.0.0.1");
  EXPECT_EQ(request.ingress_bits_per_second, 1'000'000u);
  EXPECT_EQ(request.egress_bits_per_second, 0u);
  EXPECT_EQ(request.netns_path, "/ns");
}

}  // namespace
}  // namespace podvisor
