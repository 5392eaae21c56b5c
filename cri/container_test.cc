#include <filesystem>

#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

v1::ContainerStatus StatusOf(v1::RuntimeService::Stub& stub, const std::string& id) {
  grpc::ClientContext context;
  v1::ContainerStatusRequest request;
  request.set_container_id(id);
  v1::ContainerStatusResponse response;
  EXPECT_THAT(stub.ContainerStatus(&context, request, &response), GrpcOk());
  return response.status();
}

TEST_F(CriServerTest, AContainerLives) {
  const std::string pod = RunPod("web");
  const std::string id = MakeContainer(pod, "nginx");
  EXPECT_EQ(StatusOf(*runtime_, id).state(), v1::CONTAINER_CREATED);
  EXPECT_EQ(StatusOf(*runtime_, id).started_at(), 0);

  v1::StartContainerRequest start;
  start.set_container_id(id);
  v1::StartContainerResponse started;
  ASSERT_THAT(CALL(runtime_, StartContainer, start, &started), GrpcOk());
  EXPECT_EQ(StatusOf(*runtime_, id).state(), v1::CONTAINER_RUNNING);
  EXPECT_THAT(CALL(runtime_, StartContainer, start, &started), GrpcStatusIs(grpc::StatusCode::FAILED_PRECONDITION, id));

  v1::ReopenContainerLogRequest reopen;
  reopen.set_container_id(id);
  v1::ReopenContainerLogResponse reopened;
  ASSERT_THAT(CALL(runtime_, ReopenContainerLog, reopen, &reopened), GrpcOk());
  EXPECT_TRUE(std::filesystem::exists(StatusOf(*runtime_, id).log_path()));

  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(id);
  update.mutable_linux()->set_memory_limit_in_bytes(64 << 20);
  v1::UpdateContainerResourcesResponse updated;
  ASSERT_THAT(CALL(runtime_, UpdateContainerResources, update, &updated), GrpcOk());
  EXPECT_EQ(StatusOf(*runtime_, id).resources().linux().memory_limit_in_bytes(), 64 << 20);
  update.mutable_linux()->set_cpu_shares(-1);
  EXPECT_THAT(CALL(runtime_, UpdateContainerResources, update, &updated),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "linux.cpu_shares: must not be negative"));

  v1::StopContainerRequest stop;
  stop.set_container_id(id);
  stop.set_timeout(7);
  v1::StopContainerResponse stopped;
  ASSERT_THAT(CALL(runtime_, StopContainer, stop, &stopped), GrpcOk());
  EXPECT_EQ(pods_.last_grace(), absl::Seconds(7));
  EXPECT_EQ(StatusOf(*runtime_, id).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*runtime_, id).exit_code(), 137);

  v1::ListContainersRequest list;
  list.mutable_filter()->set_pod_sandbox_id(pod);
  list.mutable_filter()->mutable_state()->set_state(v1::CONTAINER_EXITED);
  v1::ListContainersResponse listed;
  ASSERT_THAT(CALL(runtime_, ListContainers, list, &listed), GrpcOk());
  ASSERT_EQ(listed.containers_size(), 1);
  EXPECT_EQ(listed.containers(0).id(), id);
  EXPECT_EQ(listed.containers(0).metadata().name(), "nginx");

  v1::RemoveContainerRequest remove;
  remove.set_container_id(id);
  v1::RemoveContainerResponse removed;
  EXPECT_THAT(CALL(runtime_, RemoveContainer, remove, &removed), GrpcOk());
  EXPECT_THAT(CALL(runtime_, RemoveContainer, remove, &removed), GrpcOk());
  EXPECT_THAT(CALL(runtime_, StopContainer, stop, &stopped), GrpcOk());
  v1::ContainerStatusRequest status;
  status.set_container_id(id);
  v1::ContainerStatusResponse response;
  EXPECT_THAT(CALL(runtime_, ContainerStatus, status, &response), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, id));
}

TEST_F(CriServerTest, VerboseStatusHasInfo) {
  v1::ContainerStatusRequest request;
  request.set_container_id(MakeContainer(RunPod("web"), "nginx"));
  request.set_verbose(true);
  v1::ContainerStatusResponse response;
  ASSERT_THAT(CALL(runtime_, ContainerStatus, request, &response), GrpcOk());
  EXPECT_EQ(response.info().at("pid"), "7");
}

TEST_F(CriServerTest, CreateContainerChecksItsRequest) {
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id("nosuch");
  request.mutable_config()->mutable_metadata()->set_name("c");
  v1::CreateContainerResponse response;
  EXPECT_THAT(
      CALL(runtime_, CreateContainer, request, &response),
      GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "CreateContainer: config.image.image: must not be empty"));
  request.mutable_config()->mutable_image()->set_image("busybox");
  EXPECT_THAT(CALL(runtime_, CreateContainer, request, &response),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "sandbox nosuch: not found"));
}

TEST_F(CriServerTest, ExecSyncAnswersFitIntoTheClientsLimit) {
  const std::string id = MakeContainer(RunPod("web"), "c");
  v1::StartContainerRequest start;
  start.set_container_id(id);
  v1::StartContainerResponse started;
  ASSERT_THAT(CALL(runtime_, StartContainer, start, &started), GrpcOk());

  v1::ExecSyncRequest request;
  request.set_container_id(id);
  v1::ExecSyncResponse response;
  EXPECT_THAT(CALL(runtime_, ExecSync, request, &response),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "cmd: must not be empty"));
  request.add_cmd("cat");
  request.set_timeout(-1);
  EXPECT_THAT(CALL(runtime_, ExecSync, request, &response),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "timeout: must not be negative"));
  request.set_timeout(10);

  pods_.SetProgram([](const std::vector<std::string>&) { return ExecResult{"out\n", "err\n", 3}; });
  ASSERT_THAT(CALL(runtime_, ExecSync, request, &response), GrpcOk());
  EXPECT_EQ(response.stdout(), "out\n");
  EXPECT_EQ(response.stderr(), "err\n");
  EXPECT_EQ(response.exit_code(), 3);

  pods_.SetProgram([](const std::vector<std::string>&) {
    return ExecResult{std::string(16 << 20, 'o'), std::string(16 << 20, 'e'), 0};
  });
  ASSERT_THAT(CALL(runtime_, ExecSync, request, &response), GrpcOk());
  EXPECT_EQ(response.stdout().size(), response.stderr().size());
  EXPECT_GT(response.stdout().size(), (8u << 20) - 2048);

  pods_.SetProgram([](const std::vector<std::string>&) { return ExecResult{std::string(16 << 20, 'o'), "why", 1}; });
  ASSERT_THAT(CALL(runtime_, ExecSync, request, &response), GrpcOk());
  EXPECT_EQ(response.stderr(), "why");
  EXPECT_GT(response.stdout().size(), (16u << 20) - 2048);

  pods_.FailNext("ExecSync", absl::DeadlineExceededError("container: timed out after 10s"));
  EXPECT_THAT(CALL(runtime_, ExecSync, request, &response),
              GrpcStatusIs(grpc::StatusCode::DEADLINE_EXCEEDED, "timed out after 10s"));
}

}  // namespace
}  // namespace podvisor::cri
