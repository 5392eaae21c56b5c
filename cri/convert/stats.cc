#include "cri/convert/stats.h"

#include "cri/convert/common.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr uint64_t kNanosPerMicro = 1000;
constexpr char kPodInterface[] = "eth0";

// Totals in microseconds, as the kernel has them and other runtimes pass them on.
void PsiToCri(uint64_t total_us, const agent::v1::StallShares& shares, v1::PsiData* out) {
  out->set_total(total_us);
  out->set_avg10(shares.avg10());
  out->set_avg60(shares.avg60());
  out->set_avg300(shares.avg300());
}

void CpuToCri(const Usage& usage, v1::CpuUsage* out) {
  out->set_timestamp(ToCriTime(usage.at));
  out->mutable_usage_core_nano_seconds()->set_value(usage.figures.cpu_usage_us() * kNanosPerMicro);
  out->mutable_usage_nano_cores()->set_value(usage.nano_cores);
  PsiToCri(usage.figures.cpu_stall_us(), usage.figures.cpu_stall(), out->mutable_psi()->mutable_some());
  PsiToCri(usage.figures.cpu_full_stall_us(), usage.figures.cpu_full_stall(), out->mutable_psi()->mutable_full());
}

// Up to the limit; the guest's memory is the limit of who has none.
uint64_t AvailableBytes(const Usage& usage) {
  const agent::v1::CgroupUsage& figures = usage.figures;
  if (!figures.has_memory_limit_bytes()) return usage.guest_available_bytes.value_or(0);
  const uint64_t limit = figures.memory_limit_bytes(), working_set = WorkingSetBytes(figures);
  return limit > working_set ? limit - working_set : 0;
}

void MemoryToCri(const Usage& usage, v1::MemoryUsage* out) {
  const agent::v1::CgroupUsage& figures = usage.figures;
  out->set_timestamp(ToCriTime(usage.at));
  out->mutable_working_set_bytes()->set_value(WorkingSetBytes(figures));
  out->mutable_usage_bytes()->set_value(figures.memory_bytes());
  out->mutable_rss_bytes()->set_value(figures.memory_anon_bytes());
  out->mutable_page_faults()->set_value(figures.page_faults());
  out->mutable_major_page_faults()->set_value(figures.major_page_faults());
  out->mutable_available_bytes()->set_value(AvailableBytes(usage));
  PsiToCri(figures.memory_stall_us(), figures.memory_stall(), out->mutable_psi()->mutable_some());
  PsiToCri(figures.memory_full_stall_us(), figures.memory_full_stall(), out->mutable_psi()->mutable_full());
}

void SwapToCri(const Usage& usage, v1::SwapUsage* out) {
  const agent::v1::CgroupUsage& figures = usage.figures;
  out->set_timestamp(ToCriTime(usage.at));
  out->mutable_swap_usage_bytes()->set_value(figures.swap_bytes());
  const uint64_t limit = figures.swap_limit_bytes();
  out->mutable_swap_available_bytes()->set_value(limit > figures.swap_bytes() ? limit - figures.swap_bytes() : 0);
}

void IoToCri(const Usage& usage, v1::IoUsage* out) {
  out->set_timestamp(ToCriTime(usage.at));
  PsiToCri(usage.figures.io_stall_us(), usage.figures.io_stall(), out->mutable_psi()->mutable_some());
  PsiToCri(usage.figures.io_full_stall_us(), usage.figures.io_full_stall(), out->mutable_psi()->mutable_full());
}

void InterfaceToCri(const agent::v1::InterfaceUsage& usage, v1::NetworkInterfaceUsage* out) {
  out->set_name(ToValidUtf8(usage.name()));
  out->mutable_rx_bytes()->set_value(usage.rx_bytes());
  out->mutable_rx_errors()->set_value(usage.rx_errors());
  out->mutable_tx_bytes()->set_value(usage.tx_bytes());
  out->mutable_tx_errors()->set_value(usage.tx_errors());
}

// The guest's threads where it does not count processes: what it can't count is not made up.
uint64_t ProcessCount(const PodUsage& pod) {
  uint64_t count = 0;
  for (const ContainerUsage& container : pod.containers) {
    if (!container.rest.has_process_count()) return pod.usage.figures.processes();
    count += container.rest.process_count();
  }
  return count;
}

}  // namespace

uint64_t WorkingSetBytes(const agent::v1::CgroupUsage& figures) {
  const uint64_t inactive = figures.memory_inactive_file_bytes();
  return figures.memory_bytes() > inactive ? figures.memory_bytes() - inactive : 0;
}

void ContainerUsageToCri(const ContainerUsage& container, v1::ContainerStats* out) {
  const ContainerConfig& config = *container.status.config;
  v1::ContainerAttributes* attributes = out->mutable_attributes();
  attributes->set_id(container.status.id);
  attributes->mutable_metadata()->set_name(config.metadata().name());
  attributes->mutable_metadata()->set_attempt(config.metadata().attempt());
  *attributes->mutable_labels() = config.labels();
  *attributes->mutable_annotations() = config.annotations();
  if (container.usage.at == absl::InfinitePast()) return;
  CpuToCri(container.usage, out->mutable_cpu());
  MemoryToCri(container.usage, out->mutable_memory());
  SwapToCri(container.usage, out->mutable_swap());
  IoToCri(container.usage, out->mutable_io());
  // It is in the guest, on no file system of the host's: what it takes there is part of the guest's memory.
  v1::FilesystemUsage* layer = out->mutable_writable_layer();
  layer->set_timestamp(ToCriTime(container.usage.at));
  layer->mutable_fs_id()->set_mountpoint("/");
  layer->mutable_used_bytes()->set_value(container.rest.layer_bytes());
  layer->mutable_inodes_used()->set_value(container.rest.layer_inodes());
}

void PodUsageToCri(const PodUsage& pod, v1::PodSandboxStats* out) {
  const SandboxConfig& config = *pod.sandbox.config;
  v1::PodSandboxAttributes* attributes = out->mutable_attributes();
  attributes->set_id(pod.sandbox.id);
  attributes->mutable_metadata()->set_name(config.metadata().name());
  attributes->mutable_metadata()->set_namespace_(config.metadata().namespace_());
  attributes->mutable_metadata()->set_uid(config.metadata().uid());
  attributes->mutable_metadata()->set_attempt(config.metadata().attempt());
  *attributes->mutable_labels() = config.labels();
  *attributes->mutable_annotations() = config.annotations();
  v1::LinuxPodSandboxStats* linux = out->mutable_linux();
  for (const ContainerUsage& container : pod.containers) ContainerUsageToCri(container, linux->add_containers());
  if (pod.usage.at == absl::InfinitePast()) return;
  CpuToCri(pod.usage, linux->mutable_cpu());
  MemoryToCri(pod.usage, linux->mutable_memory());
  IoToCri(pod.usage, linux->mutable_io());
  linux->mutable_process()->set_timestamp(ToCriTime(pod.usage.at));
  linux->mutable_process()->mutable_process_count()->set_value(ProcessCount(pod));
  linux->mutable_network()->set_timestamp(ToCriTime(pod.usage.at));
  for (const agent::v1::InterfaceUsage& interface : pod.interfaces) {
    if (interface.name() == kPodInterface) {
      InterfaceToCri(interface, linux->mutable_network()->mutable_default_interface());
    } else {
      InterfaceToCri(interface, linux->mutable_network()->add_interfaces());
    }
  }
}

}  // namespace podvisor::cri
