// What the daemon counts, for Prometheus.
#ifndef PODVISOR_DAEMON_METRICS_H_
#define PODVISOR_DAEMON_METRICS_H_

#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

// A histogram of seconds for each value of one label, made when the value is first seen. The values come from the code,
// never from clients: their number is bounded. Thread-safe.
class TimesByLabel {
 public:
  // The registry outlives it.
  TimesByLabel(prometheus::Registry& registry, const std::string& name, const std::string& help, std::string label);
  void Observe(absl::string_view value, absl::Duration took);

 private:
  prometheus::Family<prometheus::Histogram>& family_;
  const std::string label_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, prometheus::Histogram*> by_value_ ABSL_GUARDED_BY(mu_);
};

// A counter for each pair of a label's value and a status code. Thread-safe.
class CountsByCode {
 public:
  CountsByCode(prometheus::Registry& registry, const std::string& name, const std::string& help, std::string label);
  void Add(absl::string_view value, absl::StatusCode code);

 private:
  prometheus::Family<prometheus::Counter>& family_;
  const std::string label_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::pair<std::string, int>, prometheus::Counter*> by_value_ ABSL_GUARDED_BY(mu_);
};

// The daemon's counters and histograms; the observers are called by those who do the work, from any thread.
class Metrics {
 public:
  // `build` is shown in podvisor_build_info.
  explicit Metrics(const std::string& version);

  // podvisor_rpc_total, podvisor_rpc_duration_seconds; for PullImage the podvisor_image_pull... ones too.
  void OnRpc(absl::string_view method, absl::StatusCode code, absl::Duration took);
  // podvisor_vm_start_stage_seconds, of stages that succeeded; podvisor_vm_start_stage_failures_total of the others.
  void OnStage(absl::string_view stage, absl::StatusCode code, absl::Duration took);
  // podvisor_agent_calls_total, podvisor_agent_call_seconds.
  void OnAgentCall(absl::string_view method, absl::StatusCode code, absl::Duration took);

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  CountsByCode rpcs_;
  TimesByLabel rpc_times_;
  TimesByLabel stages_;
  CountsByCode stage_failures_;
  prometheus::Family<prometheus::Counter>& pulls_;
  prometheus::Counter& pulls_ok_;
  prometheus::Counter& pulls_failed_;
  prometheus::Histogram& pull_times_;
  CountsByCode agent_calls_;
  TimesByLabel agent_times_;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_METRICS_H_
