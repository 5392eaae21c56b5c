#include "podmanager/vm_size.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr double kMaxVcpus = 1024;

double Cpus(const Resources& resources) {
  if (resources.cpu_quota() <= 0 || resources.cpu_period() <= 0) return 0;
  return static_cast<double>(resources.cpu_quota()) / static_cast<double>(resources.cpu_period());
}

uint64_t MemoryLimit(const Resources& resources) {
  return static_cast<uint64_t>(std::max<int64_t>(resources.memory_limit_bytes(), 0));
}

std::vector<Resources> ResourcesOf(PodContext& context, const Sandbox& sandbox, const std::string& changed_id,
                                   const Resources& changed) {
  std::vector<Resources> all;
  for (const std::shared_ptr<Container>& container : context.containers.All()) {
    if (container->sandbox().get() != &sandbox) continue;
    const ContainerPhase phase = container->phase();
    if (phase == ContainerPhase::kExited || phase == ContainerPhase::kRemoving) continue;
    all.push_back(container->id() == changed_id ? changed : container->record().resources());
  }
  return all;
}

absl::Status CheckBounds(const Sandbox& sandbox, const SandboxRecord& record, const VmSize& wanted) {
  const RuntimeHandler& handler = *sandbox.handler();
  const int max_vcpus = std::max(record.vcpus(), handler.max_vcpus);
  const uint64_t max_memory = std::max(record.memory_bytes(), handler.max_memory_bytes);
  if (wanted.vcpus <= max_vcpus && wanted.memory_bytes <= max_memory) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat("sandbox ", sandbox.id(), ": its containers' limits ask for a VM of ", wanted.vcpus, " vCPUs and ",
                   wanted.memory_bytes / kMiB, " MiB, and it was made for at most ", max_vcpus, " and ",
                   max_memory / kMiB, " MiB: raise default_max_vcpus and default_max_memory of runtime handler \"",
                   handler.name, "\" and make the pod anew"));
}

}  // namespace

VmSize WantedSize(const RuntimeHandler& handler, const Resources& pod, const std::vector<Resources>& containers) {
  double cpus = 0;
  uint64_t memory = 0;
  for (const Resources& container : containers) {
    cpus += Cpus(container);
    memory += MemoryLimit(container);
  }
  cpus = std::max(cpus, Cpus(pod));
  memory = std::max(memory, MemoryLimit(pod));
  VmSize size = {.vcpus = handler.vcpus, .memory_bytes = handler.memory_bytes};
  size.vcpus = std::max(size.vcpus, static_cast<int>(std::min(std::ceil(cpus), kMaxVcpus)));
  if (memory > 0) {
    const uint64_t wanted = memory + handler.guest_overhead_bytes;
    size.memory_bytes = std::max(size.memory_bytes, (wanted + kMiB - 1) / kMiB * kMiB);
  }
  return size;
}

VmSize BootSize(const RuntimeHandler& handler, const Resources& pod) {
  VmSize size = WantedSize(handler, pod, {});
  const int driver_max = handler.hypervisor->capabilities().max_vcpus;
  size.vcpus = std::min({size.vcpus, driver_max, handler.max_vcpus > 0 ? handler.max_vcpus : driver_max});
  if (handler.max_memory_bytes > 0) size.memory_bytes = std::min(size.memory_bytes, handler.max_memory_bytes);
  return size;
}

VmSize SizeNow(const SandboxRecord& record) {
  return {.vcpus = record.vcpus_now() > 0 ? record.vcpus_now() : record.vcpus(),
          .memory_bytes = record.memory_bytes_now() > 0 ? record.memory_bytes_now() : record.memory_bytes()};
}

absl::Status FitVm(PodContext& context, Sandbox& sandbox, Fit fit, const std::string& container_id,
                   const Resources& resources) {
  if (sandbox.handler() == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(Turn turn, sandbox.sizing().Take(absl::InfiniteFuture(), "sandbox " + sandbox.id()));
  const SandboxRecord record = sandbox.record();
  const VmSize now = SizeNow(record);
  VmSize wanted =
      WantedSize(*sandbox.handler(), record.has_resources() ? record.resources() : record.config().resources(),
                 ResourcesOf(context, sandbox, container_id, resources));
  wanted.vcpus = std::max(wanted.vcpus, now.vcpus);
  // A VM is not made smaller than it was at its boot: that memory is no device that could be taken out.
  wanted.memory_bytes = std::max(wanted.memory_bytes, fit == Fit::kGrow ? now.memory_bytes : record.memory_bytes());
  if (wanted == now) return absl::OkStatus();
  RETURN_IF_ERROR(CheckBounds(sandbox, record, wanted));
  const Capabilities& can = sandbox.handler()->hypervisor->capabilities();
  if ((wanted.vcpus != now.vcpus && !can.vcpu_hotplug) ||
      (wanted.memory_bytes != now.memory_bytes && !can.memory_resize)) {
    return absl::FailedPreconditionError(
        absl::StrCat("sandbox ", sandbox.id(), ": the driver of runtime handler \"", sandbox.handler_name(),
                     "\" can't change a VM's size: make the pod anew with the limits it needs"));
  }
  const Sandbox::Guest guest = sandbox.guest();
  if (guest.vm == nullptr || guest.agent == nullptr)
    return absl::FailedPreconditionError(absl::StrCat("sandbox ", sandbox.id(), " has no VM"));
  RETURN_IF_ERROR(guest.vm->Resize(wanted.vcpus, wanted.memory_bytes));
  if (wanted.vcpus > now.vcpus || wanted.memory_bytes > now.memory_bytes) {
    grpc::OnlineCPUMemRequest request;
    request.set_wait(true);
    request.set_nb_cpus(static_cast<uint32_t>(wanted.vcpus - now.vcpus));
    google::protobuf::Empty empty;
    RETURN_IF_ERROR(
        guest.agent->Call(kAgentService, "OnlineCPUMem", request, &empty, absl::Now() + sandbox.timeouts().agent_call),
        "sandbox ", sandbox.id(), ": bring new vCPUs and memory online");
  }
  return sandbox.Update([&wanted](SandboxRecord& changed) {
    changed.set_vcpus_now(wanted.vcpus);
    changed.set_memory_bytes_now(wanted.memory_bytes);
  });
}

}  // namespace podvisor
