// What pods and containers use, as metrics with cAdvisor's names.
#ifndef PODVISOR_CRI_CONVERT_METRICS_H_
#define PODVISOR_CRI_CONVERT_METRICS_H_

#include "podmanager/stats/usage.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

// Every metric that there may be. Label keys are cAdvisor's container, id, image, name, namespace and pod, and where a
// metric needs them more.
void DescriptorsToCri(::runtime::v1::ListMetricDescriptorsResponse* out);

// `usage` with the VMM's figures. CRI has whole numbers only: seconds are rounded down. What the guest does not say is
// left out.
void MetricsToCri(const PodUsage& usage, ::runtime::v1::PodSandboxMetrics* out);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CONVERT_METRICS_H_
