#include <utility>

#include "base/status_macros.h"
#include "cri/convert/container.h"
#include "cri/convert/image.h"
#include "cri/convert/metrics.h"
#include "cri/convert/sandbox.h"
#include "cri/convert/stats.h"
#include "cri/handlers.h"
#include "cri/usage_lists.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

// Well below what every client takes in one message (4 MiB), unless one element alone is larger.
constexpr size_t kMessageBytes = 1 << 20;

// Writes what `convert` makes of each element of `list`, several to a message. An empty list is no message.
template <typename Response, typename List, typename Convert>
absl::Status WriteAll(List list, Write<Response> write, const Convert& convert) {
  Response message;
  size_t bytes = 0;
  for (auto& element : list) {
    bytes += convert(std::move(element), message);
    if (bytes < kMessageBytes) continue;
    if (!write(message)) return absl::CancelledError("the client has gone");
    message.Clear();
    bytes = 0;
  }
  if (bytes > 0 && !write(message)) return absl::CancelledError("the client has gone");
  return absl::OkStatus();
}

}  // namespace

absl::Status StreamPodSandboxes(const Backend& backend, Call&, const v1::StreamPodSandboxesRequest& request,
                                Write<v1::StreamPodSandboxesResponse> write) {
  return WriteAll<v1::StreamPodSandboxesResponse>(
      backend.pods->ListSandboxes(SandboxFilterFromCri(request.filter())), write,
      [](SandboxStatus&& status, v1::StreamPodSandboxesResponse& out) {
        SandboxToCri(std::move(status), out.add_pod_sandboxes());
        return out.pod_sandboxes(out.pod_sandboxes_size() - 1).ByteSizeLong();
      });
}

absl::Status StreamContainers(const Backend& backend, Call&, const v1::StreamContainersRequest& request,
                              Write<v1::StreamContainersResponse> write) {
  return WriteAll<v1::StreamContainersResponse>(
      backend.pods->ListContainers(ContainerFilterFromCri(request.filter())), write,
      [](podvisor::ContainerStatus&& status, v1::StreamContainersResponse& out) {
        ContainerToCri(std::move(status), out.add_containers());
        return out.containers(out.containers_size() - 1).ByteSizeLong();
      });
}

absl::Status StreamContainerStats(const Backend& backend, Call& call, const v1::StreamContainerStatsRequest& request,
                                  Write<v1::StreamContainerStatsResponse> write) {
  return WriteAll<v1::StreamContainerStatsResponse>(
      ContainerUsages(backend, call, request.filter()), write,
      [](ContainerUsage&& usage, v1::StreamContainerStatsResponse& out) {
        ContainerUsageToCri(usage, out.add_container_stats());
        return out.container_stats(out.container_stats_size() - 1).ByteSizeLong();
      });
}

absl::Status StreamPodSandboxStats(const Backend& backend, Call& call, const v1::StreamPodSandboxStatsRequest& request,
                                   Write<v1::StreamPodSandboxStatsResponse> write) {
  return WriteAll<v1::StreamPodSandboxStatsResponse>(
      PodUsages(backend, call, request.filter()), write, [](PodUsage&& usage, v1::StreamPodSandboxStatsResponse& out) {
        PodUsageToCri(usage, out.add_pod_sandbox_stats());
        return out.pod_sandbox_stats(out.pod_sandbox_stats_size() - 1).ByteSizeLong();
      });
}

absl::Status StreamPodSandboxMetrics(const Backend& backend, Call& call, const v1::StreamPodSandboxMetricsRequest&,
                                     Write<v1::StreamPodSandboxMetricsResponse> write) {
  return WriteAll<v1::StreamPodSandboxMetricsResponse>(
      backend.pods->ListUsage({}, Detail::kVerbose, call.deadline), write,
      [](PodUsage&& usage, v1::StreamPodSandboxMetricsResponse& out) {
        MetricsToCri(usage, out.add_pod_sandbox_metrics());
        return out.pod_sandbox_metrics(out.pod_sandbox_metrics_size() - 1).ByteSizeLong();
      });
}

absl::Status StreamImages(const Backend& backend, Call&, const v1::StreamImagesRequest& request,
                          Write<v1::StreamImagesResponse> write) {
  ASSIGN_OR_RETURN(std::vector<Image> images, ImagesMatching(backend, request.filter()));
  return WriteAll<v1::StreamImagesResponse>(std::move(images), write, [](Image&& image, v1::StreamImagesResponse& out) {
    ImageToCri(image, out.add_images());
    return out.images(out.images_size() - 1).ByteSizeLong();
  });
}

}  // namespace podvisor::cri
