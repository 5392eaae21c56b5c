#include "cri/convert/metrics.h"

#include "cri/handlers.h"

namespace podvisor::cri {

absl::Status ListMetricDescriptors(const Backend&, Call&, const ::runtime::v1::ListMetricDescriptorsRequest&,
                                   ::runtime::v1::ListMetricDescriptorsResponse* response) {
  DescriptorsToCri(response);
  return absl::OkStatus();
}

absl::Status ListPodSandboxMetrics(const Backend& backend, Call& call,
                                   const ::runtime::v1::ListPodSandboxMetricsRequest&,
                                   ::runtime::v1::ListPodSandboxMetricsResponse* response) {
  for (const PodUsage& pod : backend.pods->ListUsage({}, Detail::kVerbose, call.deadline))
    MetricsToCri(pod, response->add_pod_metrics());
  return absl::OkStatus();
}

}  // namespace podvisor::cri
