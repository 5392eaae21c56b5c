#include <set>
#include <thread>

#include "cri/testing/test_server.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

std::shared_ptr<const PodEvent> Event(const std::string& id, PodEventType type) {
  auto event = std::make_shared<PodEvent>();
  event->container_id = id;
  event->type = type;
  event->at = absl::Now();
  event->sandbox.id = "pod";
  event->sandbox.config = std::make_shared<const SandboxConfig>();
  return event;
}

class StreamTest : public CriServerTest {};

// What comes of the stream of `request`; messages are counted in `messages`.
#define READ_ALL(stub, Method, Element, elements, messages)                          \
  [&] {                                                                              \
    grpc::ClientContext context;                                                     \
    auto reader = stub->Method(&context, v1::Method##Request());                     \
    std::vector<v1::Element> all;                                                    \
    v1::Method##Response response;                                                   \
    for (messages = 0; reader->Read(&response); ++messages)                          \
      for (const v1::Element& element : response.elements()) all.push_back(element); \
    EXPECT_THAT(reader->Finish(), GrpcOk());                                         \
    return all;                                                                      \
  }()

TEST_F(StreamTest, ListsComeInMessagesOfBoundedSize) {
  int messages = 0;
  EXPECT_TRUE(READ_ALL(runtime_, StreamPodSandboxes, PodSandbox, pod_sandboxes, messages).empty());
  EXPECT_EQ(messages, 0);
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = PodConfig(absl::StrCat("pod", i));
    (*request.mutable_config()->mutable_annotations())["large"] = std::string(200 << 10, 'x');
    v1::RunPodSandboxResponse response;
    ASSERT_THAT(runtime_->RunPodSandbox(&context, request, &response), GrpcOk());
    ids.insert(response.pod_sandbox_id());
  }
  std::set<std::string> listed;
  for (const v1::PodSandbox& pod : READ_ALL(runtime_, StreamPodSandboxes, PodSandbox, pod_sandboxes, messages))
    listed.insert(pod.id());
  EXPECT_EQ(listed, ids);
  EXPECT_GT(messages, 2);
  EXPECT_LT(messages, 20);
}

TEST_F(StreamTest, EveryListHasItsStream) {
  const std::string pod = RunPod("web");
  const std::string container = MakeContainer(pod, "c");
  {
    grpc::ClientContext context;
    v1::PullImageRequest request;
    request.mutable_image()->set_image("busybox:1");
    v1::PullImageResponse response;
    images_.AddToRegistry("busybox:1", Image{.id = "sha256:1"});
    ASSERT_THAT(image_->PullImage(&context, request, &response), GrpcOk());
  }
  int messages = 0;
  EXPECT_EQ(READ_ALL(runtime_, StreamContainers, Container, containers, messages).at(0).id(), container);
  EXPECT_EQ(READ_ALL(runtime_, StreamContainerStats, ContainerStats, container_stats, messages).at(0).attributes().id(),
            container);
  EXPECT_EQ(
      READ_ALL(runtime_, StreamPodSandboxStats, PodSandboxStats, pod_sandbox_stats, messages).at(0).attributes().id(),
      pod);
  EXPECT_EQ(READ_ALL(runtime_, StreamPodSandboxMetrics, PodSandboxMetrics, pod_sandbox_metrics, messages)
                .at(0)
                .pod_sandbox_id(),
            pod);
  EXPECT_EQ(READ_ALL(image_, StreamImages, Image, images, messages).size(), 1u);
}

TEST_F(StreamTest, EventsReachEveryListenerOnceItHasHeaders) {
  grpc::ClientContext first, second;
  auto one = runtime_->GetContainerEvents(&first, v1::GetEventsRequest());
  auto two = runtime_->GetContainerEvents(&second, v1::GetEventsRequest());
  one->WaitForInitialMetadata();
  two->WaitForInitialMetadata();
  pods_.events().Publish(Event("a", PodEventType::kCreated));
  pods_.events().Publish(Event("a", PodEventType::kStopped));
  for (auto* reader : {one.get(), two.get()}) {
    v1::ContainerEventResponse event;
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.container_id(), "a");
    EXPECT_EQ(event.container_event_type(), v1::CONTAINER_CREATED_EVENT);
    EXPECT_EQ(event.pod_sandbox_status().id(), "pod");
    EXPECT_GT(event.created_at(), 0);
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.container_event_type(), v1::CONTAINER_STOPPED_EVENT);
  }
  first.TryCancel();
  EXPECT_THAT(one->Finish(), GrpcStatusIs(grpc::StatusCode::CANCELLED, ""));
  // The server goes, and does not wait for the other listener until it is forced to.
  std::thread closer([this] { server_->Shutdown(absl::Minutes(2)); });
  EXPECT_THAT(two->Finish(), GrpcStatusIs(grpc::StatusCode::UNAVAILABLE, "shutting down"));
  closer.join();
  server_ = nullptr;
}

TEST_F(StreamTest, AListenerThatDoesNotReadIsCutOff) {
  grpc::ClientContext context;
  auto reader = runtime_->GetContainerEvents(&context, v1::GetEventsRequest());
  reader->WaitForInitialMetadata();
  // Far more than the connection's window takes, and than the fake's queue of four.
  auto event = std::make_shared<PodEvent>(*Event("a", PodEventType::kCreated));
  event->sandbox.reason = "r";
  auto config = std::make_shared<SandboxConfig>();
  (*config->mutable_annotations())["large"] = std::string(1 << 20, 'x');
  event->sandbox.config = config;
  for (int i = 0; i < 200; ++i) pods_.events().Publish(event);
  v1::ContainerEventResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_THAT(reader->Finish(), GrpcStatusIs(grpc::StatusCode::RESOURCE_EXHAUSTED, "reads too slowly"));
}

}  // namespace
}  // namespace podvisor::cri
