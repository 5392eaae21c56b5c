#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

TEST_F(CriServerTest, Version) {
  v1::VersionResponse response;
  ASSERT_THAT(CALL(runtime_, Version, v1::VersionRequest(), &response), GrpcOk());
  EXPECT_EQ(response.runtime_name(), "podvisor");
  EXPECT_EQ(response.runtime_version(), "9.8.7");
  EXPECT_EQ(response.runtime_api_version(), "v1");
}

TEST_F(CriServerTest, StatusShowsConditionsAndHandlers) {
  pods_.SetHandlers({RuntimeHandlerInfo{.name = "", .recursive_read_only_mounts = true, .user_namespaces = true},
                     RuntimeHandlerInfo{.name = "small"}});
  pods_.SetNetworkReady(absl::FailedPreconditionError("no CNI configuration in /etc/cni/net.d"));
  v1::StatusRequest request;
  v1::StatusResponse response;
  ASSERT_THAT(CALL(runtime_, Status, request, &response), GrpcOk());
  ASSERT_EQ(response.status().conditions_size(), 2);
  EXPECT_EQ(response.status().conditions(0).type(), "RuntimeReady");
  EXPECT_TRUE(response.status().conditions(0).status());
  EXPECT_EQ(response.status().conditions(1).type(), "NetworkReady");
  EXPECT_FALSE(response.status().conditions(1).status());
  EXPECT_EQ(response.status().conditions(1).reason(), "NetworkPluginNotReady");
  EXPECT_EQ(response.status().conditions(1).message(), "no CNI configuration in /etc/cni/net.d");
  ASSERT_EQ(response.runtime_handlers_size(), 2);
  EXPECT_EQ(response.runtime_handlers(0).name(), "");
  EXPECT_TRUE(response.runtime_handlers(0).features().user_namespaces());
  EXPECT_TRUE(response.runtime_handlers(0).features().recursive_read_only_mounts());
  EXPECT_EQ(response.runtime_handlers(1).name(), "small");
  EXPECT_FALSE(response.runtime_handlers(1).features().user_namespaces());
  EXPECT_TRUE(response.info().empty());

  request.set_verbose(true);
  ASSERT_THAT(CALL(runtime_, Status, request, &response), GrpcOk());
  EXPECT_EQ(response.info().at("config"), "{\"stateDir\":\"/x\"}");
}

TEST_F(CriServerTest, RuntimeConfigNamesTheCgroupDriver) {
  v1::RuntimeConfigResponse response;
  ASSERT_THAT(CALL(runtime_, RuntimeConfig, v1::RuntimeConfigRequest(), &response), GrpcOk());
  EXPECT_EQ(response.linux().cgroup_driver(), v1::CGROUPFS);
}

TEST_F(CriServerTest, UpdateRuntimeConfigTakesPodCidrs) {
  v1::UpdateRuntimeConfigRequest request;
  v1::UpdateRuntimeConfigResponse response;
  auto* network = request.mutable_runtime_config()->mutable_network_config();
  network->set_pod_cidr("10.1.0.0/24,fd00::/64");
  ASSERT_THAT(CALL(runtime_, UpdateRuntimeConfig, request, &response), GrpcOk());
  EXPECT_EQ(pods_.pod_cidr(), "10.1.0.0/24,fd00::/64");
  network->set_pod_cidr("everything");
  EXPECT_THAT(CALL(runtime_, UpdateRuntimeConfig, request, &response),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "runtime_config.network_config.pod_cidr: must be"));
  EXPECT_EQ(pods_.pod_cidr(), "10.1.0.0/24,fd00::/64");
}

}  // namespace
}  // namespace podvisor::cri
