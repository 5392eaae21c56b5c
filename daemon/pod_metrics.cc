#include "daemon/pod_metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace podvisor {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

void AddGauge(prometheus::MetricFamily& family, Labels labels, double value) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  metric.gauge.value = value;
}

void AddCounter(prometheus::MetricFamily& family, Labels labels, double value) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  metric.counter.value = value;
}

template <typename Counts>
prometheus::MetricFamily ByState(const char* name, const char* help, const Counts& counts) {
  prometheus::MetricFamily family = Family(name, help, prometheus::MetricType::Gauge);
  for (const auto& [phase, count] : counts) AddGauge(family, {{"state", std::string(Name(phase))}}, count);
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> PodMetrics::Collect() const {
  const PodSnapshot snapshot = snapshot_();
  prometheus::MetricFamily cpu =
      Family("podvisor_vmm_cpu_seconds_total", "Processor time of a sandbox's hypervisor, its guest included.",
             prometheus::MetricType::Counter);
  prometheus::MetricFamily resident =
      Family("podvisor_vmm_resident_bytes", "Resident memory of a sandbox's hypervisor, its guest's included.",
             prometheus::MetricType::Gauge);
  prometheus::MetricFamily proportional =
      Family("podvisor_vmm_proportional_bytes", "The same, with shared pages divided among those who share them.",
             prometheus::MetricType::Gauge);
  prometheus::MetricFamily guest_private =
      Family("podvisor_guest_private_bytes", "Resident memory of a sandbox's guest that no other VM shares.",
             prometheus::MetricType::Gauge);
  prometheus::MetricFamily guest_shared =
      Family("podvisor_guest_shared_bytes", "Resident pages of its template that a sandbox's guest has not written.",
             prometheus::MetricType::Gauge);
  for (const PodSnapshot::VmNumbers& vm : snapshot.vms) {
    const Labels labels = {{"sandbox", vm.sandbox_id}, {"namespace", vm.pod_namespace}, {"pod", vm.pod_name}};
    AddCounter(cpu, labels, absl::ToDoubleSeconds(vm.usage.cpu_time));
    AddGauge(resident, labels, static_cast<double>(vm.usage.resident_bytes));
    AddGauge(proportional, labels, static_cast<double>(vm.usage.proportional_bytes));
    AddGauge(guest_private, labels, static_cast<double>(vm.usage.guest_private_bytes));
    AddGauge(guest_shared, labels, static_cast<double>(vm.usage.guest_shared_bytes));
  }
  return {ByState("podvisor_sandboxes", "Sandboxes, by state.", snapshot.sandboxes),
          ByState("podvisor_containers", "Containers, by state.", snapshot.containers),
          std::move(cpu),
          std::move(resident),
          std::move(proportional),
          std::move(guest_private),
          std::move(guest_shared)};
}

}  // namespace podvisor
