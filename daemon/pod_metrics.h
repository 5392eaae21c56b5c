// Metrics of what there is at the moment of the question: pods, containers, VMs.
#ifndef PODVISOR_DAEMON_POD_METRICS_H_
#define PODVISOR_DAEMON_POD_METRICS_H_

#include <prometheus/collectable.h>

#include <functional>
#include <utility>
#include <vector>

#include "podmanager/pod_manager_impl.h"

namespace podvisor {

// Thread-safe as far as `snapshot` is.
class PodMetrics final : public prometheus::Collectable {
 public:
  explicit PodMetrics(std::function<PodSnapshot()> snapshot) : snapshot_(std::move(snapshot)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::function<PodSnapshot()> snapshot_;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_POD_METRICS_H_
