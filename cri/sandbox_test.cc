#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

TEST_F(CriServerTest, ASandboxLives) {
  const std::string id = RunPod("web");
  EXPECT_EQ(RunPod("web"), id);  // the same attempt
  const std::string other = RunPod("db");
  EXPECT_NE(other, id);

  v1::PodSandboxStatusRequest status_request;
  status_request.set_pod_sandbox_id(id);
  status_request.set_verbose(true);
  v1::PodSandboxStatusResponse status;
  ASSERT_THAT(CALL(runtime_, PodSandboxStatus, status_request, &status), GrpcOk());
  EXPECT_EQ(status.status().id(), id);
  EXPECT_EQ(status.status().metadata().name(), "web");
  EXPECT_EQ(status.status().state(), v1::SANDBOX_READY);
  EXPECT_EQ(status.status().network().ip(), "10.88.0.2");
  EXPECT_EQ(status.info().at("vm"), "{\"pid\":1}");
  EXPECT_GT(status.timestamp(), 0);

  v1::ListPodSandboxRequest list_request;
  v1::ListPodSandboxResponse list;
  ASSERT_THAT(CALL(runtime_, ListPodSandbox, list_request, &list), GrpcOk());
  EXPECT_EQ(list.items_size(), 2);
  (*list_request.mutable_filter()->mutable_label_selector())["app"] = "db";
  ASSERT_THAT(CALL(runtime_, ListPodSandbox, list_request, &list), GrpcOk());
  ASSERT_EQ(list.items_size(), 1);
  EXPECT_EQ(list.items(0).id(), other);

  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(id);
  v1::StopPodSandboxResponse stopped;
  EXPECT_THAT(CALL(runtime_, StopPodSandbox, stop, &stopped), GrpcOk());
  list_request.Clear();
  list_request.mutable_filter()->mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  ASSERT_THAT(CALL(runtime_, ListPodSandbox, list_request, &list), GrpcOk());
  ASSERT_EQ(list.items_size(), 1);
  EXPECT_EQ(list.items(0).id(), id);

  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(id);
  v1::RemovePodSandboxResponse removed;
  EXPECT_THAT(CALL(runtime_, RemovePodSandbox, remove, &removed), GrpcOk());
  EXPECT_THAT(CALL(runtime_, RemovePodSandbox, remove, &removed), GrpcOk());
  EXPECT_THAT(CALL(runtime_, StopPodSandbox, stop, &stopped), GrpcOk());
  EXPECT_THAT(CALL(runtime_, PodSandboxStatus, status_request, &status), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, id));
}

TEST_F(CriServerTest, AnInvalidRequestTouchesNothing) {
  v1::RunPodSandboxRequest request;
  v1::RunPodSandboxResponse response;
  EXPECT_THAT(
      CALL(runtime_, RunPodSandbox, request, &response),
      GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "RunPodSandbox: config.metadata.name: must not be empty"));
  *request.mutable_config() = PodConfig("web");
  request.set_runtime_handler("fast");
  EXPECT_THAT(CALL(runtime_, RunPodSandbox, request, &response),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "runtime_handler: no handler \"fast\" is configured"));
  EXPECT_TRUE(pods_.ListSandboxes({}).empty());
  pods_.SetHandlers({RuntimeHandlerInfo{}, RuntimeHandlerInfo{.name = "fast"}});
  EXPECT_THAT(CALL(runtime_, RunPodSandbox, request, &response), GrpcOk());
}

TEST_F(CriServerTest, PodManagersErrorsKeepTheirCodes) {
  for (const absl::Status& error :
       {absl::UnavailableError("sandbox 1: the guest did not come up"), absl::DeadlineExceededError("sandbox 1: late"),
        absl::AlreadyExistsError("sandbox 1: in use"), absl::ResourceExhaustedError("disk full"),
        absl::InternalError("oops")}) {
    pods_.FailNext("RunPodSandbox", error);
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = PodConfig("web");
    v1::RunPodSandboxResponse response;
    EXPECT_THAT(CALL(runtime_, RunPodSandbox, request, &response),
                GrpcStatusIs(static_cast<int>(error.code()), absl::StrCat("RunPodSandbox: ", error.message())));
  }
}

TEST_F(CriServerTest, EverySandboxCallChecksItsId) {
  v1::StopPodSandboxResponse stopped;
  EXPECT_THAT(CALL(runtime_, StopPodSandbox, v1::StopPodSandboxRequest(), &stopped),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "pod_sandbox_id: must not be empty"));
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id("../etc");
  v1::RemovePodSandboxResponse removed;
  EXPECT_THAT(CALL(runtime_, RemovePodSandbox, remove, &removed),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "pod_sandbox_id: must consist of"));
  v1::PodSandboxStatusResponse status;
  EXPECT_THAT(CALL(runtime_, PodSandboxStatus, v1::PodSandboxStatusRequest(), &status),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "pod_sandbox_id: must not be empty"));
}

}  // namespace
}  // namespace podvisor::cri
