#include <grpcpp/generic/generic_stub.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>
#include <set>
#include <thread>

#include "base/unique_fd.h"
#include "cri/socket_file.h"
#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using ::testing::HasSubstr;

// Sends an empty request to a method by its name.
grpc::Status CallEmpty(const std::shared_ptr<grpc::Channel>& channel, const std::string& path) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice nothing(nullptr, 0);
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  return status;
}

TEST_F(CriServerTest, EveryMethodHasAHandler) {
  int methods = 0;
  for (const char* name : {"runtime.v1.RuntimeService", "runtime.v1.ImageService"}) {
    const auto* service = ::google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string method = service->method(i)->name();
      ++methods;
      if (method == "GetContainerEvents") continue;  // does not end by itself: events_test
      const grpc::Status status = CallEmpty(channel_, absl::StrCat("/", name, "/", method));
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
    }
  }
  EXPECT_EQ(methods, 41);
}

TEST_F(CriServerTest, SocketIsForItsOwnerOnly) {
  struct stat info {};
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(CriServerTest, ASecondServerOnTheSocketIsRefused) {
  Backend backend;
  backend.pods = &pods_;
  backend.images = &images_;
  EXPECT_THAT(Server::Start({.socket = socket_}, backend, nullptr),
              StatusIs(absl::StatusCode::kFailedPrecondition, "another process listens on it"));
  v1::VersionResponse response;
  EXPECT_THAT(CALL(runtime_, Version, v1::VersionRequest(), &response), GrpcOk());
}

TEST_F(CriServerTest, ObserverSeesMethodAndCode) {
  v1::VersionResponse version;
  EXPECT_THAT(CALL(runtime_, Version, v1::VersionRequest(), &version), GrpcOk());
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id("nosuch");
  v1::PodSandboxStatusResponse response;
  EXPECT_THAT(CALL(runtime_, PodSandboxStatus, request, &response),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "PodSandboxStatus: sandbox nosuch: not found"));
  const std::vector<Observed> seen = observed();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].method, "Version");
  EXPECT_EQ(seen[0].code, absl::StatusCode::kOk);
  EXPECT_EQ(seen[1].method, "PodSandboxStatus");
  EXPECT_EQ(seen[1].code, absl::StatusCode::kNotFound);
}

TEST_F(CriServerTest, ShutdownWaitsForACallAndRemovesTheSocket) {
  grpc::Status pulled;
  std::thread client([&] {
    v1::PullImageRequest request;
    request.mutable_image()->set_image("stalled");
    v1::PullImageResponse response;
    pulled = CALL(image_, PullImage, request, &response);
  });
  images_.stalled().WaitForNotification();
  server_->Shutdown(absl::Milliseconds(50));  // then the call is cancelled, and its handler returns
  client.join();
  EXPECT_FALSE(pulled.ok());
  struct stat info {};
  EXPECT_NE(::stat(socket_.c_str(), &info), 0);
  server_ = nullptr;
}

TEST(ToGrpcStatusTest, KeepsCodeAndBothEndsOfALongMessage) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    EXPECT_THAT(ToGrpcStatus("ExecSync", status), GrpcStatusIs(code, "ExecSync: why"));
  }
  const grpc::Status cut = ToGrpcStatus(
      "RunPodSandbox", absl::UnavailableError(absl::StrCat("sandbox 1", std::string(50000, '\n'), "panic")));
  EXPECT_THAT(cut.error_message(), HasSubstr("RunPodSandbox: sandbox 1"));
  EXPECT_THAT(cut.error_message(), HasSubstr("bytes left out] "));
  EXPECT_THAT(cut.error_message(), HasSubstr("panic"));
  EXPECT_LT(cut.error_message().size(), 3000u);  // three times that on the wire
}

TEST(ClearSocketPathTest, RemovesOnlyADeadSocket) {
  const ScratchFolder folder;
  const std::string path = absl::StrCat(folder.path(), "/s");
  EXPECT_OK(ClearSocketPath(path));
  std::ofstream(path) << "precious";
  EXPECT_THAT(ClearSocketPath(path), StatusIs(absl::StatusCode::kFailedPrecondition, "something else than a socket"));
  std::filesystem::remove(path);

  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_THAT(ClearSocketPath(path), StatusIs(absl::StatusCode::kFailedPrecondition, "another process"));
  listener.reset();
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_OK(ClearSocketPath(path));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(ClearSocketPath(std::string(200, 'x')), StatusIs(absl::StatusCode::kInvalidArgument, "1 to 107 bytes"));
}

}  // namespace
}  // namespace podvisor::cri
