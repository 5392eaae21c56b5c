#include "cri/convert/metrics.h"

#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cri/convert/common.h"
#include "cri/convert/stats.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr uint64_t kMicrosPerSecond = 1000000;
constexpr const char* kCommonLabels[] = {"container", "id", "image", "name", "namespace", "pod"};

// A value with the labels that are the metric's own.
struct Sample {
  uint64_t value = 0;
  std::vector<std::string> labels;
};
using Samples = std::vector<Sample>;

Samples One(uint64_t value, std::vector<std::string> labels = {}) { return {{value, std::move(labels)}}; }

template <typename Optional>
Samples IfSet(bool set, Optional value, std::vector<std::string> labels = {}) {
  return set ? One(value, std::move(labels)) : Samples();
}

// One for each key, which is its label.
Samples ByKey(const ::google::protobuf::Map<std::string, uint64_t>& values) {
  Samples samples;
  for (const auto& [key, value] : std::map<std::string, uint64_t>(values.begin(), values.end()))
    samples.push_back({value, {ToValidUtf8(key)}});
  return samples;
}

Samples Seconds(uint64_t micros, std::vector<std::string> labels = {}) {
  return One(micros / kMicrosPerSecond, std::move(labels));
}

uint64_t UnixSeconds(absl::Time time) {
  return time == absl::InfinitePast() ? 0 : static_cast<uint64_t>(absl::ToUnixSeconds(time));
}

uint64_t Positive(int64_t value) { return value > 0 ? static_cast<uint64_t>(value) : 0; }

using Cgroup = agent::v1::CgroupUsage;

// Of a cgroup: the pod's and each container's.
struct CgroupMetric {
  const char* name;
  const char* help;
  v1::MetricType type;
  std::initializer_list<const char*> labels;
  Samples (*samples)(const Cgroup& figures);
};

// The layer's file system; and block devices, which the guest counts together.
constexpr char kLayerDevice[] = "overlay";
constexpr char kAllDevices[] = "all";

const CgroupMetric kCgroupMetrics[] = {
    {"container_cpu_usage_seconds_total",
     "CPU time used.",
     v1::COUNTER,
     {"cpu"},
     [](const Cgroup& f) { return Seconds(f.cpu_usage_us(), {"total"}); }},
    {"container_cpu_user_seconds_total",
     "CPU time used in user mode.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.cpu_user_us()); }},
    {"container_cpu_system_seconds_total",
     "CPU time used in kernel mode.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.cpu_system_us()); }},
    {"container_cpu_cfs_periods_total",
     "Periods of the CPU quota that have passed.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return One(f.cpu_periods()); }},
    {"container_cpu_cfs_throttled_periods_total",
     "Periods in which the CPU quota was used up.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return One(f.cpu_throttled_periods()); }},
    {"container_cpu_cfs_throttled_seconds_total",
     "Time held back by the CPU quota.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.cpu_throttled_us()); }},
    {"container_memory_usage_bytes",
     "Memory in use, page cache included.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.memory_bytes()); }},
    {"container_memory_working_set_bytes",
     "Memory in use less the page cache that nobody has touched for long.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(WorkingSetBytes(f)); }},
    {"container_memory_max_usage_bytes",
     "Most memory that was in use.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.memory_peak_bytes()); }},
    {"container_memory_rss",
     "Anonymous memory.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.memory_anon_bytes()); }},
    {"container_memory_cache",
     "Page cache.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.memory_file_bytes()); }},
    {"container_memory_mapped_file",
     "Files mapped to memory.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.memory_mapped_file_bytes()); }},
    {"container_memory_kernel_usage",
     "Memory of the guest's kernel for it.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.memory_kernel_bytes()); }},
    {"container_memory_swap", "Swap in use.", v1::GAUGE, {}, [](const Cgroup& f) { return One(f.swap_bytes()); }},
    {"container_memory_failcnt",
     "How often the memory limit was hit.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return One(f.memory_limit_hits()); }},
    {"container_memory_failures_total",
     "Page faults.",
     v1::COUNTER,
     {"failure_type", "scope"},
     [](const Cgroup& f) {
       return Samples{{f.page_faults(), {"pgfault", "hierarchy"}},
                      {f.major_page_faults(), {"pgmajfault", "hierarchy"}}};
     }},
    {"container_oom_events_total",
     "Processes killed for want of memory.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return One(f.oom_kills()); }},
    {"container_hugetlb_usage_bytes",
     "Huge pages in use, by their size.",
     v1::GAUGE,
     {"pagesize"},
     [](const Cgroup& f) { return ByKey(f.hugetlb_bytes()); }},
    {"container_threads",
     "Threads of all processes.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.processes()); }},
    {"container_threads_max",
     "Most threads that may be. 0: no limit.",
     v1::GAUGE,
     {},
     [](const Cgroup& f) { return One(f.processes_limit()); }},
    {"container_blkio_device_usage_total",
     "Bytes read from and written to block devices, all together.",
     v1::COUNTER,
     {"device", "major", "minor", "operation"},
     [](const Cgroup& f) {
       return Samples{{f.read_bytes(), {kAllDevices, "", "", "Read"}},
                      {f.write_bytes(), {kAllDevices, "", "", "Write"}}};
     }},
    {"container_fs_reads_bytes_total",
     "Bytes read from block devices.",
     v1::COUNTER,
     {"device"},
     [](const Cgroup& f) { return One(f.read_bytes(), {kAllDevices}); }},
    {"container_fs_writes_bytes_total",
     "Bytes written to block devices.",
     v1::COUNTER,
     {"device"},
     [](const Cgroup& f) { return One(f.write_bytes(), {kAllDevices}); }},
    {"container_fs_reads_total",
     "Reads of block devices.",
     v1::COUNTER,
     {"device"},
     [](const Cgroup& f) { return One(f.reads(), {kAllDevices}); }},
    {"container_fs_writes_total",
     "Writes to block devices.",
     v1::COUNTER,
     {"device"},
     [](const Cgroup& f) { return One(f.writes(), {kAllDevices}); }},
    {"container_pressure_cpu_waiting_seconds_total",
     "Time in which some task waited for CPU.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.cpu_stall_us()); }},
    {"container_pressure_cpu_stalled_seconds_total",
     "Time in which all tasks waited for CPU.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.cpu_full_stall_us()); }},
    {"container_pressure_memory_waiting_seconds_total",
     "Time in which some task waited for memory.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.memory_stall_us()); }},
    {"container_pressure_memory_stalled_seconds_total",
     "Time in which all tasks waited for memory.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.memory_full_stall_us()); }},
    {"container_pressure_io_waiting_seconds_total",
     "Time in which some task waited for I/O.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.io_stall_us()); }},
    {"container_pressure_io_stalled_seconds_total",
     "Time in which all tasks waited for I/O.",
     v1::COUNTER,
     {},
     [](const Cgroup& f) { return Seconds(f.io_full_stall_us()); }},
};

// Of a container only.
struct ContainerMetric {
  const char* name;
  const char* help;
  v1::MetricType type;
  std::initializer_list<const char*> labels;
  Samples (*samples)(const ContainerUsage& container);
};

using C = ContainerUsage;

uint64_t Reservation(const Resources& resources) {
  const auto low = resources.unified().find("memory.low");
  uint64_t bytes = 0;
  return low != resources.unified().end() && absl::SimpleAtoi(low->second, &bytes) ? bytes : 0;
}

const ContainerMetric kContainerMetrics[] = {
    {"container_last_seen",
     "When it was seen last, in seconds since the epoch.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(UnixSeconds(c.usage.at)); }},
    {"container_start_time_seconds",
     "When it was started, in seconds since the epoch.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(UnixSeconds(c.status.started_at)); }},
    {"container_processes",
     "Processes.",
     v1::GAUGE,
     {},
     [](const C& c) { return IfSet(c.rest.has_process_count(), c.rest.process_count()); }},
    {"container_file_descriptors",
     "Open file descriptors.",
     v1::GAUGE,
     {},
     [](const C& c) { return IfSet(c.rest.has_file_descriptors(), c.rest.file_descriptors()); }},
    {"container_sockets",
     "Open sockets.",
     v1::GAUGE,
     {},
     [](const C& c) { return IfSet(c.rest.has_sockets(), c.rest.sockets()); }},
    {"container_ulimits_soft",
     "Soft limits of its first process, in the units of /proc/PID/limits. What is unlimited is left out.",
     v1::GAUGE,
     {"ulimit"},
     [](const C& c) { return ByKey(c.rest.soft_limits()); }},
    {"container_fs_usage_bytes",
     "What it has written over its image.",
     v1::GAUGE,
     {"device"},
     [](const C& c) { return IfSet(c.rest.has_layer_bytes(), c.rest.layer_bytes(), {kLayerDevice}); }},
    {"container_fs_limit_bytes",
     "Size of the file system that its writable layer is on.",
     v1::GAUGE,
     {"device"},
     [](const C& c) { return IfSet(c.rest.has_layer_limit_bytes(), c.rest.layer_limit_bytes(), {kLayerDevice}); }},
    {"container_fs_inodes_total",
     "Inodes of that file system.",
     v1::GAUGE,
     {"device"},
     [](const C& c) { return IfSet(c.rest.has_layer_inodes_limit(), c.rest.layer_inodes_limit(), {kLayerDevice}); }},
    {"container_fs_inodes_free",
     "Free inodes of that file system.",
     v1::GAUGE,
     {"device"},
     [](const C& c) { return IfSet(c.rest.has_layer_inodes_free(), c.rest.layer_inodes_free(), {kLayerDevice}); }},
    {"container_spec_cpu_period",
     "Period of its CPU quota in microseconds. 0: not set.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(Positive(c.status.resources.cpu_period())); }},
    {"container_spec_cpu_quota",
     "Its CPU quota in microseconds a period.",
     v1::GAUGE,
     {},
     [](const C& c) { return IfSet(c.status.resources.cpu_quota() > 0, Positive(c.status.resources.cpu_quota())); }},
    {"container_spec_cpu_shares",
     "Its CPU shares. 0: not set.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(Positive(c.status.resources.cpu_shares())); }},
    {"container_spec_memory_limit_bytes",
     "Its memory limit. 0: none.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(Positive(c.status.resources.memory_limit_bytes())); }},
    {"container_spec_memory_reservation_limit_bytes",
     "Memory that is kept for it (memory.low). 0: none.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(Reservation(c.status.resources)); }},
    {"container_spec_memory_swap_limit_bytes",
     "Its limit of memory and swap together. 0: none.",
     v1::GAUGE,
     {},
     [](const C& c) { return One(Positive(c.status.resources.memory_swap_limit_bytes())); }},
};

// Of the pod only: its network, and what its VM takes beside the containers. The latter are podvisor's own.
struct PodMetric {
  const char* name;
  const char* help;
  v1::MetricType type;
  std::initializer_list<const char*> labels;
  Samples (*samples)(const PodUsage& pod);
};

using Interface = agent::v1::InterfaceUsage;

template <uint64_t (Interface::*Get)() const>
Samples PerInterface(const PodUsage& pod) {
  Samples samples;
  for (const Interface& interface : pod.interfaces)
    samples.push_back({(interface.*Get)(), {ToValidUtf8(interface.name())}});
  return samples;
}

const PodMetric kPodMetrics[] = {
    {"container_network_receive_bytes_total",
     "Bytes received.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::rx_bytes>},
    {"container_network_receive_packets_total",
     "Packets received.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::rx_packets>},
    {"container_network_receive_errors_total",
     "Errors while receiving.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::rx_errors>},
    {"container_network_receive_packets_dropped_total",
     "Packets dropped while receiving.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::rx_dropped>},
    {"container_network_transmit_bytes_total",
     "Bytes sent.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::tx_bytes>},
    {"container_network_transmit_packets_total",
     "Packets sent.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::tx_packets>},
    {"container_network_transmit_errors_total",
     "Errors while sending.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::tx_errors>},
    {"container_network_transmit_packets_dropped_total",
     "Packets dropped while sending.",
     v1::COUNTER,
     {"interface"},
     PerInterface<&Interface::tx_dropped>},
    {"podvisor_vmm_cpu_seconds_total",
     "CPU time of the pod's VMM on the host: the guest's and its own.",
     v1::COUNTER,
     {},
     [](const PodUsage& p) {
       return IfSet(p.vmm.has_value(), p.vmm ? Positive(absl::ToInt64Seconds(p.vmm->cpu_time)) : 0);
     }},
    {"podvisor_vmm_memory_bytes",
     "Memory of the pod's VMM on the host (PSS): what the guest has touched and its own.",
     v1::GAUGE,
     {},
     [](const PodUsage& p) { return IfSet(p.vmm.has_value(), p.vmm ? p.vmm->proportional_bytes : 0); }},
};

// The values of kCommonLabels.
struct Subject {
  std::string container, id, image, name, pod_namespace, pod;
};

Subject PodSubject(const PodUsage& pod) {
  const Metadata& metadata = pod.sandbox.config->metadata();
  return {.id = pod.sandbox.id, .name = pod.sandbox.id, .pod_namespace = metadata.namespace_(), .pod = metadata.name()};
}

Subject ContainerSubject(const PodUsage& pod, const ContainerUsage& container) {
  Subject subject = PodSubject(pod);
  const ContainerConfig& config = *container.status.config;
  subject.container = config.metadata().name();
  subject.id = subject.name = container.status.id;
  subject.image = config.user_specified_image().empty() ? config.image() : config.user_specified_image();
  return subject;
}

template <typename Metrics>
void Add(const char* name, v1::MetricType type, absl::Time at, const Subject& subject, Samples samples, Metrics* out) {
  for (Sample& sample : samples) {
    v1::Metric* metric = out->add_metrics();
    metric->set_name(name);
    metric->set_timestamp(ToCriTime(at));
    metric->set_metric_type(type);
    for (const std::string* label :
         {&subject.container, &subject.id, &subject.image, &subject.name, &subject.pod_namespace, &subject.pod}) {
      metric->add_label_values(*label);
    }
    for (std::string& label : sample.labels) metric->add_label_values(std::move(label));
    metric->mutable_value()->set_value(sample.value);
  }
}

template <typename Table>
void Describe(const Table& table, v1::ListMetricDescriptorsResponse* out) {
  for (const auto& metric : table) {
    v1::MetricDescriptor* descriptor = out->add_descriptors();
    descriptor->set_name(metric.name);
    descriptor->set_help(metric.help);
    for (const char* label : kCommonLabels) descriptor->add_label_keys(label);
    for (const char* label : metric.labels) descriptor->add_label_keys(label);
  }
}

}  // namespace

void DescriptorsToCri(v1::ListMetricDescriptorsResponse* out) {
  Describe(kCgroupMetrics, out);
  Describe(kContainerMetrics, out);
  Describe(kPodMetrics, out);
}

void MetricsToCri(const PodUsage& pod, v1::PodSandboxMetrics* out) {
  out->set_pod_sandbox_id(pod.sandbox.id);
  if (pod.usage.at == absl::InfinitePast()) return;
  const Subject subject = PodSubject(pod);
  for (const CgroupMetric& metric : kCgroupMetrics)
    Add(metric.name, metric.type, pod.usage.at, subject, metric.samples(pod.usage.figures), out);
  for (const PodMetric& metric : kPodMetrics)
    Add(metric.name, metric.type, pod.usage.at, subject, metric.samples(pod), out);
  for (const ContainerUsage& container : pod.containers) {
    if (container.usage.at == absl::InfinitePast()) continue;
    v1::ContainerMetrics* metrics = out->add_container_metrics();
    metrics->set_container_id(container.status.id);
    const Subject labels = ContainerSubject(pod, container);
    for (const CgroupMetric& metric : kCgroupMetrics)
      Add(metric.name, metric.type, container.usage.at, labels, metric.samples(container.usage.figures), metrics);
    for (const ContainerMetric& metric : kContainerMetrics)
      Add(metric.name, metric.type, container.usage.at, labels, metric.samples(container), metrics);
  }
}

}  // namespace podvisor::cri
