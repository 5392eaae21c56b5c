// Exec, Attach and PortForward: which requests get a URL.
#include <string>

#include "cri/testing/test_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;
using testing::StartsWith;

class StreamUrlsTest : public CriServerTest {
 protected:
  void SetUp() override {
    CriServerTest::SetUp();
    pod_ = RunPod("p");
    created_ = MakeContainer(pod_, "created");
    running_ = MakeContainer(pod_, "running");
    v1::StartContainerRequest start;
    start.set_container_id(running_);
    v1::StartContainerResponse started;
    ASSERT_THAT(CALL(runtime_, StartContainer, start, &started), GrpcOk());
  }

  grpc::Status Exec(const v1::ExecRequest& request) { return CALL(runtime_, Exec, request, &exec_); }
  v1::ExecRequest GoodExec() {
    v1::ExecRequest request;
    request.set_container_id(running_);
    request.add_cmd("sh");
    request.set_stdout(true);
    return request;
  }

  std::string pod_, created_, running_;
  v1::ExecResponse exec_;
};

TEST_F(StreamUrlsTest, ExecOfARunningContainer) {
  ASSERT_THAT(Exec(GoodExec()), GrpcOk());
  EXPECT_THAT(exec_.url(), StartsWith("http://127.0.0.1:"));
  EXPECT_THAT(exec_.url(), testing::HasSubstr("/exec/"));
  v1::ExecRequest request = GoodExec();
  request.set_container_id(created_);
  EXPECT_THAT(Exec(request), GrpcStatusIs(StatusCode::FAILED_PRECONDITION, "does not run"));
  request.set_container_id("abcdef");
  EXPECT_THAT(Exec(request), GrpcStatusIs(StatusCode::NOT_FOUND, "abcdef"));
}

TEST_F(StreamUrlsTest, ContradictionsNameTheirField) {
  v1::ExecRequest request = GoodExec();
  request.set_container_id("");
  EXPECT_THAT(Exec(request), GrpcStatusIs(StatusCode::INVALID_ARGUMENT, "container_id"));
  request = GoodExec();
  request.clear_cmd();
  EXPECT_THAT(Exec(request), GrpcStatusIs(StatusCode::INVALID_ARGUMENT, "cmd"));
  request = GoodExec();
  request.set_tty(true);
  request.set_stderr(true);
  EXPECT_THAT(Exec(request), GrpcStatusIs(StatusCode::INVALID_ARGUMENT, "stderr"));
  request = GoodExec();
  request.set_stdout(false);
  EXPECT_THAT(Exec(request), GrpcStatusIs(StatusCode::INVALID_ARGUMENT, "stdin"));
  v1::AttachRequest attach;
  v1::AttachResponse attached;
  attach.set_container_id(running_);
  EXPECT_THAT(CALL(runtime_, Attach, attach, &attached), GrpcStatusIs(StatusCode::INVALID_ARGUMENT, "stdin"));
  attach.set_stdout(true);
  EXPECT_THAT(CALL(runtime_, Attach, attach, &attached), GrpcOk());
  EXPECT_THAT(attached.url(), testing::HasSubstr("/attach/"));
}

TEST_F(StreamUrlsTest, PortForwardWantsPortsThatExist) {
  v1::PortForwardRequest request;
  v1::PortForwardResponse response;
  request.set_pod_sandbox_id(pod_);
  request.add_port(80);
  ASSERT_THAT(CALL(runtime_, PortForward, request, &response), GrpcOk());
  EXPECT_THAT(response.url(), testing::HasSubstr("/portforward/"));
  request.add_port(70000);
  EXPECT_THAT(CALL(runtime_, PortForward, request, &response), GrpcStatusIs(StatusCode::INVALID_ARGUMENT, "port[1]"));
  request.clear_port();
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(pod_);
  v1::StopPodSandboxResponse stopped;
  ASSERT_THAT(CALL(runtime_, StopPodSandbox, stop, &stopped), GrpcOk());
  EXPECT_THAT(CALL(runtime_, PortForward, request, &response),
              GrpcStatusIs(StatusCode::FAILED_PRECONDITION, "not ready"));
}

}  // namespace
}  // namespace podvisor::cri
