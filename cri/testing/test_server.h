// A CRI server on fakes, and a client of it, for tests.
#ifndef PODVISOR_CRI_TESTING_TEST_SERVER_H_
#define PODVISOR_CRI_TESTING_TEST_SERVER_H_

#include <grpcpp/grpcpp.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_matchers.h"
#include "cri/server.h"
#include "cri/testing/fake_image_store.h"
#include "cri/testing/fake_pod_manager.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "third_party/wire/cri_services.h"

namespace podvisor::cri {

// A folder that goes when the object goes, with a path short enough for a socket in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    // TEST_TMPDIR is often longer than a socket's path may be.
    std::string name = "/tmp/podvisor-cri-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchFolder() {
    if (!path_.empty()) std::filesystem::remove_all(path_);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Observed {
  std::string method;
  absl::StatusCode code;
};

class CriServerTest : public testing::Test {
 protected:
  void SetUp() override {
    Backend backend;
    backend.pods = &pods_;
    backend.images = &images_;
    backend.version = "9.8.7";
    backend.verbose_status = [] { return std::map<std::string, std::string>{{"config", "{\"stateDir\":\"/x\"}"}}; };
    socket_ = absl::StrCat(folder_.path(), "/podvisor.sock");
    auto server = Server::Start({.socket = socket_}, backend,
                                [this](absl::string_view method, absl::StatusCode code, absl::Duration) {
                                  absl::MutexLock lock(&mu_);
                                  observed_.push_back({std::string(method), code});
                                });
    ASSERT_OK(server);
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(16 << 20);  // as the kubelet has it
    channel_ = grpc::CreateCustomChannel(absl::StrCat("unix:", socket_), grpc::InsecureChannelCredentials(), arguments);
    runtime_ = ::runtime::v1::RuntimeService::NewStub(channel_);
    image_ = ::runtime::v1::ImageService::NewStub(channel_);
  }

  std::vector<Observed> observed() {
    absl::MutexLock lock(&mu_);
    return observed_;
  }

  ::runtime::v1::PodSandboxConfig PodConfig(const std::string& name) {
    ::runtime::v1::PodSandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_namespace_("default");
    config.mutable_metadata()->set_uid(absl::StrCat("uid-", name));
    config.set_log_directory(absl::StrCat(folder_.path(), "/logs/", name));
    (*config.mutable_labels())["app"] = name;
    return config;
  }

  std::string RunPod(const std::string& name) {
    grpc::ClientContext context;
    ::runtime::v1::RunPodSandboxRequest request;
    *request.mutable_config() = PodConfig(name);
    ::runtime::v1::RunPodSandboxResponse response;
    const grpc::Status status = runtime_->RunPodSandbox(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.pod_sandbox_id();
  }

  std::string MakeContainer(const std::string& sandbox_id, const std::string& name) {
    grpc::ClientContext context;
    ::runtime::v1::CreateContainerRequest request;
    request.set_pod_sandbox_id(sandbox_id);
    request.mutable_config()->mutable_metadata()->set_name(name);
    request.mutable_config()->mutable_image()->set_image("busybox");
    request.mutable_config()->set_log_path(absl::StrCat(name, ".log"));
    (*request.mutable_config()->mutable_labels())["name"] = name;
    ::runtime::v1::CreateContainerResponse response;
    const grpc::Status status = runtime_->CreateContainer(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.container_id();
  }

  // One call: CALL(runtime_, Version, request, &response).
#define CALL(stub, Method, request, response)         \
  [&] {                                               \
    grpc::ClientContext context;                      \
    return stub->Method(&context, request, response); \
  }()

  ScratchFolder folder_;
  FakePodManager pods_;
  FakeImageStore images_;
  std::string socket_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<::runtime::v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<::runtime::v1::ImageService::Stub> image_;
  absl::Mutex mu_;
  std::vector<Observed> observed_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Server> server_;  // last: its threads use the rest
};

// A gRPC status with this code whose message holds `text`.
MATCHER_P2(GrpcStatusIs, code, text, "") {
  *result_listener << "code " << arg.error_code() << ": " << arg.error_message();
  return arg.error_code() == code && arg.error_message().find(text) != std::string::npos;
}

MATCHER(GrpcOk, "") {
  *result_listener << "code " << arg.error_code() << ": " << arg.error_message();
  return arg.ok();
}

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_TESTING_TEST_SERVER_H_
