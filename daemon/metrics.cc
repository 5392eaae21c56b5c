#include "daemon/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <utility>

namespace podvisor {
namespace {

// From a unary call of a fraction of a millisecond to a slow boot.
const prometheus::Histogram::BucketBoundaries& Buckets() {
  static const auto* const buckets = new prometheus::Histogram::BucketBoundaries{
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
  return *buckets;
}

const prometheus::Histogram::BucketBoundaries& PullBuckets() {
  static const auto* const buckets =
      new prometheus::Histogram::BucketBoundaries{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};
  return *buckets;
}

}  // namespace

TimesByLabel::TimesByLabel(prometheus::Registry& registry, const std::string& name, const std::string& help,
                           std::string label)
    : family_(prometheus::BuildHistogram().Name(name).Help(help).Register(registry)), label_(std::move(label)) {}

void TimesByLabel::Observe(absl::string_view value, absl::Duration took) {
  prometheus::Histogram* histogram = nullptr;
  {
    absl::MutexLock lock(&mu_);
    prometheus::Histogram*& entry = by_value_[value];
    if (entry == nullptr) entry = &family_.Add({{label_, std::string(value)}}, Buckets());
    histogram = entry;
  }
  histogram->Observe(absl::ToDoubleSeconds(took));
}

CountsByCode::CountsByCode(prometheus::Registry& registry, const std::string& name, const std::string& help,
                           std::string label)
    : family_(prometheus::BuildCounter().Name(name).Help(help).Register(registry)), label_(std::move(label)) {}

void CountsByCode::Add(absl::string_view value, absl::StatusCode code) {
  absl::MutexLock lock(&mu_);
  prometheus::Counter*& entry = by_value_[std::pair(std::string(value), static_cast<int>(code))];
  if (entry == nullptr) {
    entry = &family_.Add({{label_, std::string(value)}, {"code", absl::StatusCodeToString(code)}});
  }
  entry->Increment();
}

Metrics::Metrics(const std::string& version)
    : rpcs_(*registry_, "podvisor_rpc_total", "CRI calls answered, by method and status code.", "method"),
      rpc_times_(*registry_, "podvisor_rpc_duration_seconds", "How long CRI calls took.", "method"),
      stages_(*registry_, "podvisor_vm_start_stage_seconds", "How long the stages of a pod's start took.", "stage"),
      stage_failures_(*registry_, "podvisor_vm_start_stage_failures_total", "Stages of a pod's start that failed.",
                      "stage"),
      pulls_(prometheus::BuildCounter()
                 .Name("podvisor_image_pulls_total")
                 .Help("Image pulls, by result.")
                 .Register(*registry_)),
      pulls_ok_(pulls_.Add({{"result", "success"}})),
      pulls_failed_(pulls_.Add({{"result", "failure"}})),
      pull_times_(prometheus::BuildHistogram()
                      .Name("podvisor_image_pull_seconds")
                      .Help("How long image pulls took that succeeded.")
                      .Register(*registry_)
                      .Add({}, PullBuckets())),
      agent_calls_(*registry_, "podvisor_agent_calls_total", "Calls to guests' agents, by method and status code.",
                   "method"),
      agent_times_(*registry_, "podvisor_agent_call_seconds", "How long calls to guests' agents took.", "method") {
  prometheus::BuildGauge()
      .Name("podvisor_build_info")
      .Help("1; the labels say what runs.")
      .Register(*registry_)
      .Add({{"version", version}})
      .Set(1);
}

void Metrics::OnRpc(absl::string_view method, absl::StatusCode code, absl::Duration took) {
  rpcs_.Add(method, code);
  rpc_times_.Observe(method, took);
  if (method != "PullImage") return;
  if (code != absl::StatusCode::kOk) return pulls_failed_.Increment();
  pulls_ok_.Increment();
  pull_times_.Observe(absl::ToDoubleSeconds(took));
}

void Metrics::OnStage(absl::string_view stage, absl::StatusCode code, absl::Duration took) {
  if (code == absl::StatusCode::kOk) {
    stages_.Observe(stage, took);
  } else {
    stage_failures_.Add(stage, code);
  }
}

void Metrics::OnAgentCall(absl::string_view method, absl::StatusCode code, absl::Duration took) {
  agent_calls_.Add(method, code);
  agent_times_.Observe(method, took);
}

}  // namespace podvisor
