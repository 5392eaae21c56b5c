#include <fstream>

#include "cri/admin.grpc.pb.h"
#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

class AdminTest : public CriServerTest {
 protected:
  void SetUp() override {
    CriServerTest::SetUp();
    admin_ = v1::Admin::NewStub(channel_);
  }
  std::unique_ptr<v1::Admin::Stub> admin_;
};

TEST_F(AdminTest, ImportsAFileOfTheDaemonsMachine) {
  v1::ImportImageRequest request;
  v1::ImportImageResponse response;
  request.set_path("image.tar");
  EXPECT_THAT(CALL(admin_, ImportImage, request, &response),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "path: must be an absolute path: image.tar"));
  request.set_path(absl::StrCat(folder_.path(), "/image.tar"));
  EXPECT_THAT(CALL(admin_, ImportImage, request, &response), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "image.tar"));
  std::ofstream(request.path()) << "tar";
  request.set_name("mine:1");
  ASSERT_THAT(CALL(admin_, ImportImage, request, &response), GrpcOk());
  EXPECT_EQ(response.image_id(), absl::StrCat("sha256:", std::string(64, 'f')));
  ASSERT_EQ(response.repo_tags_size(), 1);
  EXPECT_EQ(response.repo_tags(0), "mine:1");
}

TEST_F(AdminTest, PullSaysHowFarItIs) {
  Image image;
  image.id = "sha256:1";
  image.size_bytes = 77;
  images_.AddToRegistry("busybox", image);
  grpc::ClientContext context;
  v1::AdminPullRequest request;
  request.set_image("busybox");
  const auto reader = admin_->PullImage(&context, request);
  std::vector<v1::PullProgress> messages;
  for (v1::PullProgress message; reader->Read(&message);) messages.push_back(message);
  ASSERT_THAT(reader->Finish(), GrpcOk());
  ASSERT_GE(messages.size(), 2u);
  EXPECT_EQ(messages.front().bytes_total(), 77u);
  EXPECT_EQ(messages.front().image_id(), "");
  EXPECT_EQ(messages.back().image_id(), "sha256:1");
  EXPECT_EQ(messages.back().stage(), "done");
}

TEST_F(AdminTest, APullThatFailsEndsTheStreamWithItsStatus) {
  grpc::ClientContext context;
  v1::AdminPullRequest request;
  request.set_image("nosuch");
  const auto reader = admin_->PullImage(&context, request);
  v1::PullProgress message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_THAT(reader->Finish(), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "PullImage: image nosuch"));
}

}  // namespace
}  // namespace podvisor::cri
