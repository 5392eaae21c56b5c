#include "podmanager/factory/start_vm.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

constexpr size_t kConsoleTailBytes = 4096;

// Ends the wait for the agent of a VM that has ended.
class BootWatch {
 public:
  BootWatch(std::shared_ptr<Vm> vm, std::shared_ptr<AgentClient> agent) : vm_(std::move(vm)), agent_(std::move(agent)) {
    vm_->WatchExit([this](std::string reason) {
      {
        absl::MutexLock lock(&mu_);
        reason_ = reason.empty() ? "the VM ended" : std::move(reason);
      }
      agent_->Close();
    });
  }
  BootWatch(const BootWatch&) = delete;
  BootWatch& operator=(const BootWatch&) = delete;
  ~BootWatch() { vm_->WatchExit(nullptr); }

  // Empty as long as it lives.
  std::string reason() {
    absl::MutexLock lock(&mu_);
    return reason_;
  }

 private:
  const std::shared_ptr<Vm> vm_;
  const std::shared_ptr<AgentClient> agent_;
  absl::Mutex mu_;
  std::string reason_ ABSL_GUARDED_BY(mu_);
};

absl::Status AwaitAgent(const VmOrder& order, Vm& vm, AgentClient& agent, BootWatch& watch) {
  absl::Status ready = agent.WaitReady(absl::Now() + order.handler->timeouts.agent_ready);
  if (ready.ok()) return ready;
  if (order.cancelled()) return absl::CancelledError("the start of the VM was given up");
  const std::string console = vm.ConsoleTail(kConsoleTailBytes);
  const std::string end = console.empty() ? "; its console is empty" : absl::StrCat("; its console ended:\n", console);
  if (const std::string reason = watch.reason(); !reason.empty()) {
    return absl::UnavailableError(absl::StrCat("VM ended at boot: ", reason, end));
  }
  return absl::Status(ready.code(), absl::StrCat("the guest's agent did not answer: ", ready.message(), end));
}

}  // namespace

absl::Status Timed(const VmOrder& order, absl::string_view stage, const std::function<absl::Status()>& step) {
  const absl::Time start = absl::Now();
  absl::Status status = step();
  if (order.on_stage) order.on_stage(stage, status.code(), start);
  return status;
}

absl::StatusOr<FactoryVm> StartVm(EventLoop& loop, const AgentClient::Observer& on_agent_call, const VmOrder& order,
                                  BootMode boot, const TemplateFiles& files, const StartStages& stages) {
  FactoryVm made;
  std::unique_ptr<BootWatch> watch;
  absl::Status status = Timed(order, stages.create, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(UniqueFd tap, order.open_tap(), "tap");
    VmSpec spec = SiteSpec(*order.handler, order.site, tap);
    spec.boot = boot;
    spec.template_files = files;
    if (boot == BootMode::kCold) {
      spec.vcpus = order.vcpus;
      spec.max_vcpus = std::max(spec.vcpus, spec.max_vcpus);
      spec.memory_bytes = order.memory_bytes;
      spec.max_memory_bytes = std::max(spec.memory_bytes, spec.max_memory_bytes);
    }
    ASSIGN_OR_RETURN(made.vm, order.handler->hypervisor->Create(spec));
    made.agent = AgentClient::Create(loop, made.vm->agent_channel(), on_agent_call);
    watch = std::make_unique<BootWatch>(made.vm, made.agent);
    if (order.on_vm) order.on_vm(made.vm, made.agent);
    if (order.cancelled()) made.agent->Close();
    return made.vm->Start();
  });
  if (!status.ok()) status = Annotate(std::move(status), "start VM");
  if (status.ok()) {
    status = Timed(order, stages.answer, [&] { return AwaitAgent(order, *made.vm, *made.agent, *watch); });
  }
  watch.reset();
  if (status.ok()) return made;
  if (made.vm != nullptr) DiscardVm(*made.vm, *made.agent).IgnoreError();  // the caller has it, and tries again
  return status;
}

absl::Status DiscardVm(Vm& vm, AgentClient& agent) {
  agent.Close();
  vm.WatchExit(nullptr);
  return vm.Stop(absl::ZeroDuration());
}

std::string WhyNotGrown(const VmOrder& order) {
  const VmSpec spec = HandlerSpec(*order.handler);
  const Capabilities& capabilities = order.handler->hypervisor->capabilities();
  if (order.vcpus > spec.vcpus) {
    if (!capabilities.vcpu_hotplug) return "the driver can't add vCPUs to a clone";
    if (order.vcpus > spec.max_vcpus) {
      return absl::StrCat("the pod wants ", order.vcpus, " vCPUs, a clone has at most ", spec.max_vcpus,
                          " (default_max_vcpus)");
    }
  }
  if (order.memory_bytes > spec.memory_bytes) {
    if (!capabilities.memory_resize) return "the driver can't add memory to a clone";
    if (order.memory_bytes > spec.max_memory_bytes) {
      return absl::StrCat("the pod wants ", order.memory_bytes >> 20, " MiB, a clone has at most ",
                          spec.max_memory_bytes >> 20, " MiB (default_max_memory)");
    }
  }
  return "";
}

absl::Status GrowVm(const VmOrder& order, Vm& vm, AgentClient& agent) {
  const RuntimeHandler& handler = *order.handler;
  if (order.vcpus <= handler.vcpus && order.memory_bytes <= handler.memory_bytes) return absl::OkStatus();
  return Timed(order, "grow", [&]() -> absl::Status {
    const int vcpus = std::max(order.vcpus, handler.vcpus);
    RETURN_IF_ERROR(vm.Resize(vcpus, std::max(order.memory_bytes, handler.memory_bytes)), "grow VM");
    grpc::OnlineCPUMemRequest request;
    request.set_wait(true);
    request.set_nb_cpus(static_cast<uint32_t>(vcpus - handler.vcpus));
    google::protobuf::Empty empty;
    return Annotate(
        agent.Call(kAgentService, "OnlineCPUMem", request, &empty, absl::Now() + handler.timeouts.agent_call),
        "OnlineCPUMem");
  });
}

}  // namespace podvisor
