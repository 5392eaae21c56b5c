// CRI's two services as gRPC calls them: every RPC goes through the Edge to its handler (handlers.h), or answers
// UNIMPLEMENTED with its name.
#ifndef PODVISOR_CRI_SERVICES_H_
#define PODVISOR_CRI_SERVICES_H_

#include "cri/backend.h"
#include "cri/edge.h"
#include "cri/handlers.h"
#include "third_party/wire/cri_services.h"

namespace podvisor::cri {

// An RPC with a handler of its name.
#define PODVISOR_SERVE(Method, chatter)                                                              \
  grpc::Status Method(grpc::ServerContext* context, const ::runtime::v1::Method##Request* request,   \
                      ::runtime::v1::Method##Response* response) override {                          \
    return edge_.Serve(#Method, chatter, context,                                                    \
                       [&](Call& call) { return cri::Method(backend_, call, *request, response); }); \
  }

// A stream of answers to one request.
#define PODVISOR_SERVE_STREAM(Method)                                                                                 \
  grpc::Status Method(grpc::ServerContext* context, const ::runtime::v1::Method##Request* request,                    \
                      grpc::ServerWriter<::runtime::v1::Method##Response>* writer) override {                         \
    return edge_.Serve(#Method, Chatter::kQuery, context, [&](Call& call) {                                           \
      const auto write = [writer](const ::runtime::v1::Method##Response& message) { return writer->Write(message); }; \
      return cri::Method(backend_, call, *request, write);                                                            \
    });                                                                                                               \
  }

class RuntimeService final : public ::runtime::v1::RuntimeService::Service {
 public:
  // `edge` is borrowed.
  RuntimeService(const Backend& backend, const Edge& edge) : backend_(backend), edge_(edge) {}

  PODVISOR_SERVE(Version, Chatter::kQuery)
  PODVISOR_SERVE(RunPodSandbox, Chatter::kEvent)
  PODVISOR_SERVE(StopPodSandbox, Chatter::kEvent)
  PODVISOR_SERVE(RemovePodSandbox, Chatter::kEvent)
  PODVISOR_SERVE(PodSandboxStatus, Chatter::kQuery)
  PODVISOR_SERVE(ListPodSandbox, Chatter::kQuery)
  PODVISOR_SERVE(CreateContainer, Chatter::kEvent)
  PODVISOR_SERVE(StartContainer, Chatter::kEvent)
  PODVISOR_SERVE(StopContainer, Chatter::kEvent)
  PODVISOR_SERVE(RemoveContainer, Chatter::kEvent)
  PODVISOR_SERVE(ListContainers, Chatter::kQuery)
  PODVISOR_SERVE(ContainerStatus, Chatter::kQuery)
  PODVISOR_SERVE(UpdateContainerResources, Chatter::kEvent)
  PODVISOR_SERVE(ReopenContainerLog, Chatter::kEvent)
  PODVISOR_SERVE(ExecSync, Chatter::kQuery)
  PODVISOR_SERVE(Exec, Chatter::kEvent)
  PODVISOR_SERVE(Attach, Chatter::kEvent)
  PODVISOR_SERVE(PortForward, Chatter::kEvent)
  PODVISOR_SERVE(UpdateRuntimeConfig, Chatter::kEvent)
  PODVISOR_SERVE(Status, Chatter::kQuery)
  PODVISOR_SERVE(RuntimeConfig, Chatter::kQuery)

  PODVISOR_SERVE_STREAM(StreamPodSandboxes)
  PODVISOR_SERVE_STREAM(StreamContainers)
  PODVISOR_SERVE(ContainerStats, Chatter::kQuery)
  PODVISOR_SERVE(ListContainerStats, Chatter::kQuery)
  PODVISOR_SERVE_STREAM(StreamContainerStats)
  PODVISOR_SERVE(PodSandboxStats, Chatter::kQuery)
  PODVISOR_SERVE(ListPodSandboxStats, Chatter::kQuery)
  PODVISOR_SERVE_STREAM(StreamPodSandboxStats)
  PODVISOR_SERVE(CheckpointContainer, Chatter::kQuery)
  grpc::Status GetContainerEvents(grpc::ServerContext* context, const ::runtime::v1::GetEventsRequest* request,
                                  grpc::ServerWriter<::runtime::v1::ContainerEventResponse>* writer) override;
  PODVISOR_SERVE(ListMetricDescriptors, Chatter::kQuery)
  PODVISOR_SERVE(ListPodSandboxMetrics, Chatter::kQuery)
  PODVISOR_SERVE_STREAM(StreamPodSandboxMetrics)
  PODVISOR_SERVE(UpdatePodSandboxResources, Chatter::kEvent)

 private:
  const Backend backend_;
  const Edge& edge_;
};

class ImageService final : public ::runtime::v1::ImageService::Service {
 public:
  // `edge` is borrowed.
  ImageService(const Backend& backend, const Edge& edge) : backend_(backend), edge_(edge) {}

  PODVISOR_SERVE(ListImages, Chatter::kQuery)
  PODVISOR_SERVE(ImageStatus, Chatter::kQuery)
  PODVISOR_SERVE(PullImage, Chatter::kEvent)
  PODVISOR_SERVE(RemoveImage, Chatter::kEvent)
  PODVISOR_SERVE(ImageFsInfo, Chatter::kQuery)

  PODVISOR_SERVE_STREAM(StreamImages)

 private:
  const Backend backend_;
  const Edge& edge_;
};

#undef PODVISOR_SERVE
#undef PODVISOR_SERVE_STREAM

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_SERVICES_H_
