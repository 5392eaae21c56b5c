#include <thread>

#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr char kReference[] = "docker.io/library/busybox:latest";

Image Busybox() {
  Image image;
  image.id = absl::StrCat("sha256:", std::string(64, 'a'));
  image.repo_tags = {kReference};
  image.size_bytes = 1234;
  image.config.user = "1000";
  image.config_json = "{\"config\":{}}";
  return image;
}

TEST_F(CriServerTest, AnImageLives) {
  images_.AddToRegistry(kReference, Busybox());
  v1::ImageStatusRequest status_request;
  status_request.mutable_image()->set_image(kReference);
  status_request.set_verbose(true);
  v1::ImageStatusResponse status;
  ASSERT_THAT(CALL(image_, ImageStatus, status_request, &status), GrpcOk());
  EXPECT_FALSE(status.has_image());

  v1::PullImageRequest pull;
  pull.mutable_image()->set_image(kReference);
  pull.mutable_auth()->set_username("me");
  pull.mutable_auth()->set_password("secret");
  v1::PullImageResponse pulled;
  ASSERT_THAT(CALL(image_, PullImage, pull, &pulled), GrpcOk());
  EXPECT_EQ(pulled.image_ref(), Busybox().id);
  EXPECT_EQ(images_.last_auth().password, "secret");

  ASSERT_THAT(CALL(image_, ImageStatus, status_request, &status), GrpcOk());
  EXPECT_EQ(status.image().id(), Busybox().id);
  EXPECT_EQ(status.image().uid().value(), 1000);
  EXPECT_EQ(status.info().at("info"), "{\"imageSpec\":{\"config\":{}}}");

  v1::ListImagesRequest list_request;
  v1::ListImagesResponse list;
  ASSERT_THAT(CALL(image_, ListImages, list_request, &list), GrpcOk());
  EXPECT_EQ(list.images_size(), 1);
  list_request.mutable_filter()->mutable_image()->set_image("other");
  ASSERT_THAT(CALL(image_, ListImages, list_request, &list), GrpcOk());
  EXPECT_EQ(list.images_size(), 0);

  v1::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kReference);
  v1::RemoveImageResponse removed;
  EXPECT_THAT(CALL(image_, RemoveImage, remove, &removed), GrpcOk());
  EXPECT_THAT(CALL(image_, RemoveImage, remove, &removed), GrpcOk());

  v1::ImageFsInfoResponse usage;
  ASSERT_THAT(CALL(image_, ImageFsInfo, v1::ImageFsInfoRequest(), &usage), GrpcOk());
  ASSERT_EQ(usage.image_filesystems_size(), 1);
  EXPECT_EQ(usage.image_filesystems(0).fs_id().mountpoint(), "/");
  EXPECT_EQ(usage.image_filesystems(0).used_bytes().value(), 4096u);
}

TEST_F(CriServerTest, ImageCallsCheckTheirRequests) {
  v1::PullImageResponse pulled;
  EXPECT_THAT(CALL(image_, PullImage, v1::PullImageRequest(), &pulled),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "PullImage: image.image: must not be empty"));
  v1::RemoveImageResponse removed;
  EXPECT_THAT(CALL(image_, RemoveImage, v1::RemoveImageRequest(), &removed),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, "RemoveImage: image.image: must not be empty"));
  v1::PullImageRequest missing;
  missing.mutable_image()->set_image("nosuch");
  EXPECT_THAT(CALL(image_, PullImage, missing, &pulled), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, "nosuch"));
}

TEST_F(CriServerTest, APullEndsWhenItsClientGoesAway) {
  grpc::ClientContext context;
  std::thread client([&] {
    v1::PullImageRequest request;
    request.mutable_image()->set_image("stalled");
    v1::PullImageResponse response;
    EXPECT_THAT(image_->PullImage(&context, request, &response), GrpcStatusIs(grpc::StatusCode::CANCELLED, ""));
  });
  images_.stalled().WaitForNotification();
  context.TryCancel();
  client.join();
  const auto ended = [this] { return !observed().empty(); };
  for (const absl::Time limit = absl::Now() + absl::Seconds(60); !ended() && absl::Now() < limit;) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(ended());
  EXPECT_EQ(observed()[0].code, absl::StatusCode::kCancelled);
}

TEST_F(CriServerTest, APullEndsAtItsDeadline) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  v1::PullImageRequest request;
  request.mutable_image()->set_image("stalled");
  v1::PullImageResponse response;
  EXPECT_THAT(image_->PullImage(&context, request, &response), GrpcStatusIs(grpc::StatusCode::DEADLINE_EXCEEDED, ""));
}

}  // namespace
}  // namespace podvisor::cri
