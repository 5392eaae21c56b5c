// RunPodSandbox: the way from a configuration to a VM that waits for containers.
#include <errno.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/rollback.h"
#include "base/status_macros.h"
#include "podmanager/host_cgroup.h"
#include "podmanager/ids.h"
#include "podmanager/network_request.h"
#include "podmanager/paths.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/tell_hooks.h"
#include "storage/shared_folder.h"

namespace podvisor {

namespace {

constexpr size_t kConsoleTailBytes = 4096;

// What the VM gets at boot: the handler's, or what the pod's own limits ask for, within the handler's bounds.
int BootVcpus(const RuntimeHandler& handler, const Resources& pod) {
  int vcpus = handler.vcpus;
  if (pod.cpu_quota() > 0 && pod.cpu_period() > 0) {
    const double cpus = static_cast<double>(pod.cpu_quota()) / static_cast<double>(pod.cpu_period());
    vcpus = std::max(vcpus, static_cast<int>(std::min(std::ceil(cpus), 1024.0)));
  }
  const int driver_max = handler.hypervisor->capabilities().max_vcpus;
  return std::min({vcpus, driver_max, handler.max_vcpus > 0 ? handler.max_vcpus : driver_max});
}

uint64_t BootMemory(const RuntimeHandler& handler, const Resources& pod) {
  uint64_t bytes = handler.memory_bytes;
  if (pod.memory_limit_bytes() > 0) {
    constexpr uint64_t kMiB = 1 << 20;
    const uint64_t wanted = static_cast<uint64_t>(pod.memory_limit_bytes()) + handler.guest_overhead_bytes;
    bytes = std::max(bytes, (wanted + kMiB - 1) / kMiB * kMiB);
  }
  return handler.max_memory_bytes > 0 ? std::min(bytes, handler.max_memory_bytes) : bytes;
}

// One RunPodSandbox. Lives as long as the call.
class Creation {
 public:
  Creation(PodContext& context, std::shared_ptr<Sandbox> sandbox)
      : context_(context),
        sandbox_(std::move(sandbox)),
        handler_(*sandbox_->handler()),
        rollback_(handler_.timeouts.rollback) {}

  absl::Status Run() {
    absl::Status status = Steps();
    if (status.ok()) {
      rollback_.Commit();
      return status;
    }
    absl::Status undone = rollback_.Run();
    if (undone.ok()) {
      context_.sandboxes.Erase(sandbox_->id());
      return status;
    }
    // What could not be undone stays listed, for the kubelet to stop and remove.
    const std::string reason = absl::StrCat(status.message(), "; ", undone.message());
    sandbox_->Observe(SandboxPhase::kCreating, SandboxPhase::kFailed,
                      [&](SandboxRecord& record) { record.set_reason(reason); });
    context_.Changed(*sandbox_);
    return absl::Status(status.code(), reason);
  }

 private:
  absl::Status Steps() {
    RETURN_IF_ERROR(RecordIntent());
    RETURN_IF_ERROR(Timed("netns", [this] { return MakeNamespace(); }));
    RETURN_IF_ERROR(Timed("files", [this] { return MakeFiles(); }));
    RETURN_IF_ERROR(SetUpNetworkAndVm());
    AgentFlavor flavor = AGENT_PODVISOR;
    RETURN_IF_ERROR(Timed("configure", [this, &flavor]() -> absl::Status {
      ASSIGN_OR_RETURN(flavor, ConfigureGuest(context_, *sandbox_, *sandbox_->guest().agent, network_));
      return absl::OkStatus();
    }));
    Undo("tell hooks of the removal", [&context = context_](Sandbox& sandbox, absl::Time) {
      TellRemoved(context, sandbox);
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(TellRun(context_, *sandbox_, network_.ips), "sandbox ", sandbox_->id());
    const std::string vm_record = sandbox_->guest().vm->Record();
    return sandbox_->TransitionTo(SandboxPhase::kReady, [&](SandboxRecord& record) {
      record.set_agent(flavor);
      record.set_vm_record(vm_record);
      for (const std::string& ip : network_.ips) record.add_ips(ip);
    });
  }

  absl::Status Timed(absl::string_view stage, const std::function<absl::Status()>& step) {
    const absl::Time start = absl::Now();
    absl::Status status = step();
    if (context_.options.on_stage) context_.options.on_stage(stage, status.code(), absl::Now() - start);
    return status;
  }

  // The undo steps keep the sandbox alive and take the deadline of the roll-back; the context outlives them.
  void Undo(std::string name, std::function<absl::Status(Sandbox&, absl::Time)> step) {
    rollback_.Add(std::move(name), [sandbox = sandbox_, step = std::move(step)](absl::Time deadline) {
      return step(*sandbox, deadline);
    });
  }

  // One row, before anything exists: see SandboxRecord.
  absl::Status RecordIntent() {
    CgroupPlan plan;
    const std::string& parent = sandbox_->config().cgroup_parent();
    if (!context_.options.cgroup_root.empty()) {
      const CgroupParent owner = parent.empty() ? CgroupParent::kOurs : CgroupParent::kOthers;
      const std::string& path = parent.empty() ? context_.options.default_cgroup_parent : parent;
      ASSIGN_OR_RETURN(plan, PlanCgroup(context_.options.cgroup_root, path, owner, sandbox_->id()));
    }
    Undo("delete record",
         [&context = context_](Sandbox& sandbox, absl::Time) { return context.store.DeleteSandbox(sandbox.id()); });
    rollback_.Barrier();
    return sandbox_->Update([&plan](SandboxRecord& record) {
      for (std::string& directory : plan.directories) record.mutable_cgroup()->add_directories(std::move(directory));
      for (std::string& parent_dir : plan.created_parents) {
        record.mutable_cgroup()->add_created_parents(std::move(parent_dir));
      }
    });
  }

  absl::Status MakeNamespace() {
    Undo("delete network namespace",
         [&context = context_](Sandbox& sandbox, absl::Time) { return context.network.DeleteNamespace(sandbox.id()); });
    rollback_.Barrier();  // CNI DEL and the VMM need the namespace
    ASSIGN_OR_RETURN(netns_path_, context_.network.CreateNamespace(sandbox_->id()), "sandbox ", sandbox_->id(),
                     ": network namespace");
    return sandbox_->Update([this](SandboxRecord& record) { record.set_netns_path(netns_path_); });
  }

  // Runtime folder, shared folder and cgroup.
  absl::Status MakeFiles() {
    const std::string& id = sandbox_->id();
    Undo("remove runtime files",
         [&context = context_](Sandbox& sandbox, absl::Time) { return RemoveRuntimeFiles(context, sandbox.id()); });
    runtime_dir_ = SandboxRuntimeDir(context_.options.run_dir, id);
    if (::mkdir(runtime_dir_.c_str(), 0700) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("sandbox ", id, ": make ", runtime_dir_));
    }
    if (handler_.hypervisor->capabilities().shared_folder) {
      shared_dir_ = SandboxSharedDir(context_.options.run_dir, id);
      RETURN_IF_ERROR(SharedFolder(shared_dir_).Create(), "sandbox ", id, ": shared folder");
    }
    Undo("remove cgroup", [](Sandbox& sandbox, absl::Time deadline) { return EndCgroup(sandbox, deadline); });
    rollback_.Barrier();  // a VM that does not end keeps its files and its cgroup
    const CgroupRecord record = sandbox_->record().cgroup();
    CgroupPlan plan;
    plan.directories.assign(record.directories().begin(), record.directories().end());
    plan.created_parents.assign(record.created_parents().begin(), record.created_parents().end());
    cgroup_procs_ = MakeCgroup(plan, id);
    return absl::OkStatus();
  }

  // Both at once: the VM boots on a tap that is joined to the pod's network when CNI has made it. Where CNI has to make
  // something first that the tap sits on (macvtap), one after the other; where there is no tap even then, without NIC.
  absl::Status SetUpNetworkAndVm() {
    Undo("tear down network", [&context = context_](Sandbox& sandbox, absl::Time deadline) {
      return EndNetwork(context, sandbox, deadline);
    });
    Undo("end VM", [&context = context_](Sandbox& sandbox, absl::Time) { return EndVm(context, sandbox); });
    absl::StatusOr<UniqueFd> tap = context_.network.OpenTap(sandbox_->id());
    if (absl::IsFailedPrecondition(tap.status())) {
      RETURN_IF_ERROR(Timed("cni", [this] { return SetUpNetwork(); }));
      if (!network_.interfaces.empty()) tap = context_.network.OpenTap(sandbox_->id());
      if (network_.interfaces.empty()) tap = UniqueFd();
      RETURN_IF_ERROR(tap.status(), "sandbox ", sandbox_->id(), ": tap");
      return BootVm(*std::move(tap));
    }
    RETURN_IF_ERROR(tap.status(), "sandbox ", sandbox_->id(), ": tap");
    absl::Status network, vm;
    context_.tasks
        .All({[&] {
                network = Timed("cni", [this] { return SetUpNetwork(); });
                if (!network.ok()) AbortBoot();
                return absl::OkStatus();
              },
              [&] {
                vm = BootVm(*std::move(tap));
                return absl::OkStatus();
              }})
        .IgnoreError();  // both are looked at here
    return network.ok() ? vm : network;
  }

  absl::Status SetUpNetwork() {
    const NetworkRequest request = MakeNetworkRequest(sandbox_->id(), sandbox_->config(), netns_path_);
    ASSIGN_OR_RETURN(network_, context_.network.Setup(request, absl::Now() + handler_.timeouts.network), "sandbox ",
                     sandbox_->id(), ": network");
    return absl::OkStatus();
  }

  // Ends the wait for the agent: the network has failed. Either the agent's client is there already, or BootVm() sees
  // the flag when it has made it.
  void AbortBoot() {
    aborted_ = true;
    if (const auto agent = sandbox_->guest().agent) agent->Close();
  }

  VmSpec Spec(const UniqueFd& tap) {
    const SandboxRecord record = sandbox_->record();
    VmSpec spec;
    spec.id = sandbox_->id();
    spec.runtime_dir = runtime_dir_;
    spec.kernel_path = handler_.kernel_path;
    spec.initrd_path = handler_.initrd_path;
    spec.kernel_params = handler_.kernel_params;
    spec.vcpus = record.vcpus();
    spec.max_vcpus = std::max(spec.vcpus, handler_.max_vcpus);
    spec.memory_bytes = record.memory_bytes();
    spec.max_memory_bytes = std::max(spec.memory_bytes, handler_.max_memory_bytes);
    spec.disk_slots = handler_.disk_slots;
    if (tap.ok()) spec.nic = NicSpec{.tap_fd = tap.get(), .mac = MacOf(sandbox_->id())};
    spec.shared_folder = shared_dir_;
    spec.cgroup_procs = cgroup_procs_;
    spec.netns_path = netns_path_;
    return spec;
  }

  absl::Status BootVm(UniqueFd tap) {
    RETURN_IF_ERROR(Timed("vmm_start", [this, &tap] { return StartVmm(tap); }), "sandbox ", sandbox_->id(),
                    ": start VM");
    tap.reset();  // the VMM has it
    return Timed("agent_ready", [this] { return AwaitAgent(); });
  }

  absl::Status StartVmm(const UniqueFd& tap) {
    ASSIGN_OR_RETURN(std::shared_ptr<Vm> vm, handler_.hypervisor->Create(Spec(tap)));
    std::shared_ptr<AgentClient> agent =
        AgentClient::Create(context_.loop, vm->agent_channel(), context_.options.on_agent_call);
    sandbox_->set_guest({vm, agent});
    WatchVm(context_, sandbox_, *vm);
    if (aborted_ || context_.stopping) agent->Close();
    return vm->Start();
  }

  absl::Status AwaitAgent() {
    const Sandbox::Guest guest = sandbox_->guest();
    absl::Status ready = guest.agent->WaitReady(absl::Now() + handler_.timeouts.agent_ready);
    if (ready.ok()) return ready;
    const std::string console = guest.vm->ConsoleTail(kConsoleTailBytes);
    const std::string end =
        console.empty() ? "; its console is empty" : absl::StrCat("; its console ended:\n", console);
    if (const std::string reason = sandbox_->vm_exit_reason(); !reason.empty()) {
      return absl::UnavailableError(absl::StrCat("sandbox ", sandbox_->id(), ": VM ended at boot: ", reason, end));
    }
    return absl::Status(ready.code(), absl::StrCat("sandbox ", sandbox_->id(),
                                                   ": the guest's agent did not answer: ", ready.message(), end));
  }

  PodContext& context_;
  const std::shared_ptr<Sandbox> sandbox_;
  const RuntimeHandler& handler_;
  Rollback rollback_;
  std::string runtime_dir_, shared_dir_, netns_path_;
  std::vector<std::string> cgroup_procs_;
  PodNetworkResult network_;
  std::atomic<bool> aborted_{false};
};

}  // namespace

std::shared_ptr<Sandbox> ReserveSandbox(PodContext& context, const SandboxConfig& config,
                                        const RuntimeHandler& handler) {
  SandboxRecord record;
  record.set_id(RandomId());
  *record.mutable_config() = config;
  record.set_runtime_handler(handler.name);
  record.set_phase(SandboxRecord::CREATING);
  record.set_created_at_ns(absl::ToUnixNanos(context.timestamps.Next()));
  record.set_vcpus(BootVcpus(handler, config.resources()));
  record.set_memory_bytes(BootMemory(handler, config.resources()));
  auto sandbox = std::make_shared<Sandbox>(std::move(record), &handler, context.store);
  if (auto holder = context.sandboxes.InsertOrFindHolder(SandboxName(config), sandbox)) return holder;
  context.tasks.Run([&context, sandbox] {
    const absl::Time start = absl::Now();
    absl::Status status = RunSandbox(context, sandbox);
    if (context.options.on_stage) context.options.on_stage("total", status.code(), absl::Now() - start);
    sandbox->created().Set(std::move(status));
  });
  return sandbox;
}

absl::Status RunSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox) {
  ASSIGN_OR_RETURN(Turn turn, sandbox->turns().Take(absl::InfiniteFuture(), "sandbox " + sandbox->id()));
  RETURN_IF_ERROR(Creation(context, sandbox).Run());
  spdlog::info("sandbox {}: ready: pod {}/{}", sandbox->id(), sandbox->config().metadata().namespace_(),
               sandbox->config().metadata().name());
  context.Changed(*sandbox);
  // Its exit watch leaves a sandbox alone that is still being made.
  if (!sandbox->vm_exit_reason().empty()) HandleVmExit(context, sandbox);
  return absl::OkStatus();
}

}  // namespace podvisor
