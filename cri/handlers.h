// The answers to CRI's calls: one function per RPC, named for it, in one file per RPC or tight group. The generated
// service classes (services.cc) only call them.
//
// Each checks its request in full, then acts through PodManager and ImageStore, then fills the response. Errors come
// back as absl::Status; edge.h makes them gRPC's.
#ifndef PODVISOR_CRI_HANDLERS_H_
#define PODVISOR_CRI_HANDLERS_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cri/backend.h"
#include "cri/call.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

#define PODVISOR_HANDLER(Method)                                                                         \
  absl::Status Method(const Backend& backend, Call& call, const ::runtime::v1::Method##Request& request, \
                      ::runtime::v1::Method##Response* response)

// status.cc
PODVISOR_HANDLER(Version);
PODVISOR_HANDLER(Status);
PODVISOR_HANDLER(RuntimeConfig);
PODVISOR_HANDLER(UpdateRuntimeConfig);
// sandbox_run.cc
PODVISOR_HANDLER(RunPodSandbox);
// sandbox_stop.cc
PODVISOR_HANDLER(StopPodSandbox);
PODVISOR_HANDLER(RemovePodSandbox);
// sandbox_status.cc
PODVISOR_HANDLER(PodSandboxStatus);
PODVISOR_HANDLER(ListPodSandbox);
// container_create.cc
PODVISOR_HANDLER(CreateContainer);
// container_lifecycle.cc
PODVISOR_HANDLER(StartContainer);
PODVISOR_HANDLER(StopContainer);
PODVISOR_HANDLER(RemoveContainer);
// container_status.cc
PODVISOR_HANDLER(ContainerStatus);
PODVISOR_HANDLER(ListContainers);
// container_update.cc
PODVISOR_HANDLER(UpdateContainerResources);
PODVISOR_HANDLER(ReopenContainerLog);
// container_checkpoint.cc
PODVISOR_HANDLER(CheckpointContainer);
// sandbox_update.cc
PODVISOR_HANDLER(UpdatePodSandboxResources);
// stats.cc
PODVISOR_HANDLER(ContainerStats);
PODVISOR_HANDLER(ListContainerStats);
PODVISOR_HANDLER(PodSandboxStats);
PODVISOR_HANDLER(ListPodSandboxStats);
// metrics.cc
PODVISOR_HANDLER(ListMetricDescriptors);
PODVISOR_HANDLER(ListPodSandboxMetrics);
// exec_sync.cc
PODVISOR_HANDLER(ExecSync);
// stream_urls.cc
PODVISOR_HANDLER(Exec);
PODVISOR_HANDLER(Attach);
PODVISOR_HANDLER(PortForward);
// image_pull.cc
PODVISOR_HANDLER(PullImage);
// image_status.cc
PODVISOR_HANDLER(ListImages);
PODVISOR_HANDLER(ImageStatus);
PODVISOR_HANDLER(RemoveImage);
PODVISOR_HANDLER(ImageFsInfo);

// What ListImages and StreamImages answer with: all, or the one that the filter names. image_status.cc
absl::StatusOr<std::vector<Image>> ImagesMatching(const Backend& backend, const ::runtime::v1::ImageFilter& filter);

// Hands one message of a stream to the client; false once it has gone. Blocks while the client does not read.
template <typename Response>
using Write = absl::FunctionRef<bool(const Response&)>;

// stream_lists.cc: the same as the List of that name, in several messages. A client that does not read is waited for
// without any lock: what it gets is what there was when it asked.
absl::Status StreamPodSandboxes(const Backend& backend, Call& call,
                                const ::runtime::v1::StreamPodSandboxesRequest& request,
                                Write<::runtime::v1::StreamPodSandboxesResponse> write);
absl::Status StreamContainers(const Backend& backend, Call& call, const ::runtime::v1::StreamContainersRequest& request,
                              Write<::runtime::v1::StreamContainersResponse> write);
absl::Status StreamContainerStats(const Backend& backend, Call& call,
                                  const ::runtime::v1::StreamContainerStatsRequest& request,
                                  Write<::runtime::v1::StreamContainerStatsResponse> write);
absl::Status StreamPodSandboxStats(const Backend& backend, Call& call,
                                   const ::runtime::v1::StreamPodSandboxStatsRequest& request,
                                   Write<::runtime::v1::StreamPodSandboxStatsResponse> write);
absl::Status StreamPodSandboxMetrics(const Backend& backend, Call& call,
                                     const ::runtime::v1::StreamPodSandboxMetricsRequest& request,
                                     Write<::runtime::v1::StreamPodSandboxMetricsResponse> write);
absl::Status StreamImages(const Backend& backend, Call& call, const ::runtime::v1::StreamImagesRequest& request,
                          Write<::runtime::v1::StreamImagesResponse> write);

// events.cc: until the client goes, or the server does (kUnavailable). `subscribed` is called once when no event can be
// lost any more.
absl::Status GetContainerEvents(const Backend& backend, Call& call, const ::runtime::v1::GetEventsRequest& request,
                                absl::FunctionRef<void()> subscribed,
                                Write<::runtime::v1::ContainerEventResponse> write);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_HANDLERS_H_
