// RunPodSandbox: the way from a configuration to a VM that waits for containers.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/rollback.h"
#include "base/status_macros.h"
#include "podmanager/factory/vm_factory.h"
#include "podmanager/factory/vm_site.h"
#include "podmanager/host_cgroup.h"
#include "podmanager/ids.h"
#include "podmanager/network_request.h"
#include "podmanager/sandbox_operations.h"
#include "podmanager/tell_hooks.h"
#include "podmanager/vm_size.h"

namespace podvisor {

namespace {

// Only what Reserve() looks at.
VmOrder Order(const RuntimeHandler& handler, const SandboxRecord& record) {
  VmOrder order;
  order.handler = &handler;
  order.vcpus = record.vcpus();
  order.memory_bytes = record.memory_bytes();
  return order;
}

// One RunPodSandbox. Lives as long as the call.
class Creation {
 public:
  // `reserved` is a VM of the pool, whose id the sandbox has; or null.
  Creation(PodContext& context, std::shared_ptr<Sandbox> sandbox, std::shared_ptr<ReservedVm> reserved)
      : context_(context),
        sandbox_(std::move(sandbox)),
        handler_(*sandbox_->handler()),
        rollback_(handler_.timeouts.rollback),
        reserved_(std::move(reserved)) {}

  absl::Status Run() {
    absl::Status status = Steps();
    if (status.ok()) {
      rollback_.Commit();
      return status;
    }
    // Without a record of the sandbox's the VM is still the pool's.
    if (reserved_ != nullptr && !taken_) context_.factories.factory().GiveBack(std::move(reserved_));
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
    RETURN_IF_ERROR(Timed("record", [this] { return RecordIntent(); }));
    if (reserved_ == nullptr) RETURN_IF_ERROR(Timed("netns", [this] { return MakeNamespace(); }));
    RETURN_IF_ERROR(Timed("files", [this] { return MakeFiles(); }));
    RETURN_IF_ERROR(SetUpNetworkAndVm());
    RETURN_IF_ERROR(Explained(
        Timed("configure", [this] { return ConfigureGuest(context_, *sandbox_, *made_.agent, flavor_, network_); })));
    Undo("tell hooks of the removal", [&context = context_](Sandbox& sandbox, absl::Time) {
      TellRemoved(context, sandbox);
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(TellRun(context_, *sandbox_, network_.ips), "sandbox ", sandbox_->id());
    return Timed("ready", [this] { return RecordReady(); });
  }

  // Why the guest does not answer, where that is known.
  absl::Status Explained(absl::Status status) const {
    const std::string reason = sandbox_->vm_exit_reason();
    if (status.ok() || reason.empty()) return status;
    return absl::UnavailableError(absl::StrCat("sandbox ", sandbox_->id(), ": its VM ended: ", reason));
  }

  absl::Status RecordReady() {
    const std::string vm_record = made_.vm->Record();
    return sandbox_->TransitionTo(SandboxPhase::kReady, [&](SandboxRecord& record) {
      record.set_agent(flavor_);
      record.set_vm_record(vm_record);
      record.set_vm_origin(std::string(Name(made_.origin)));
      record.set_vm_origin_reason(made_.why);
      for (const std::string& ip : network_.ips) record.add_ips(ip);
    });
  }

  absl::Status Timed(absl::string_view stage, const std::function<absl::Status()>& step) {
    const absl::Time start = absl::Now();
    absl::Status status = step();
    context_.OnStage(*sandbox_, stage, status.code(), start);
    return status;
  }

  // The undo steps keep the sandbox alive and take the deadline of the roll-back; the context outlives them.
  void Undo(std::string name, std::function<absl::Status(Sandbox&, absl::Time)> step) {
    rollback_.Add(std::move(name), [sandbox = sandbox_, step = std::move(step)](absl::Time deadline) {
      return step(*sandbox, deadline);
    });
  }

  void UndoNamespace() {
    Undo("delete network namespace",
         [&context = context_](Sandbox& sandbox, absl::Time) { return context.network.DeleteNamespace(sandbox.id()); });
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
    const auto change = [this, &plan](SandboxRecord& record) {
      if (reserved_ != nullptr) {
        record.set_vm_record(reserved_->vm_record);
        record.set_netns_path(reserved_->site.netns_path);
      }
      for (std::string& directory : plan.directories) record.mutable_cgroup()->add_directories(std::move(directory));
      for (std::string& parent_dir : plan.created_parents) {
        record.mutable_cgroup()->add_created_parents(std::move(parent_dir));
      }
    };
    if (reserved_ == nullptr) return sandbox_->Update(change);
    RETURN_IF_ERROR(sandbox_->WriteTaken(change));
    TakeOver();
    return absl::OkStatus();
  }

  // From now on the pool's VM is the sandbox's, with all that it stands on.
  void TakeOver() {
    taken_ = true;
    sandbox_->set_guest({.vm = reserved_->vm, .agent = reserved_->agent});
    site_ = reserved_->site;
    UndoNamespace();
    rollback_.Barrier();
    Undo("end VM", [&context = context_](Sandbox& sandbox, absl::Time) { return EndVm(context, sandbox); });
  }

  absl::Status MakeNamespace() {
    UndoNamespace();
    rollback_.Barrier();  // CNI DEL and the VMM need the namespace
    ASSIGN_OR_RETURN(site_.netns_path, context_.network.CreateNamespace(sandbox_->id()), "sandbox ", sandbox_->id(),
                     ": network namespace");
    return sandbox_->Update([this](SandboxRecord& record) { record.set_netns_path(site_.netns_path); });
  }

  // Runtime folder, shared folder and cgroup.
  absl::Status MakeFiles() {
    const std::string& id = sandbox_->id();
    Undo("remove runtime files",
         [&context = context_](Sandbox& sandbox, absl::Time) { return RemoveRuntimeFiles(context, sandbox.id()); });
    if (reserved_ == nullptr) {
      site_.id = id;
      RETURN_IF_ERROR(MakeVmFolders(context_.options.run_dir, handler_.hypervisor->capabilities(), &site_), "sandbox ",
                      id);
    }
    Undo("remove cgroup", [](Sandbox& sandbox, absl::Time deadline) { return EndCgroup(sandbox, deadline); });
    rollback_.Barrier();  // a VM that does not end keeps its files and its cgroup
    const CgroupRecord record = sandbox_->record().cgroup();
    CgroupPlan plan;
    plan.directories.assign(record.directories().begin(), record.directories().end());
    plan.created_parents.assign(record.created_parents().begin(), record.created_parents().end());
    site_.cgroup_procs = MakeCgroup(plan, id);
    return absl::OkStatus();
  }

  // Both at once, with what the guest can be told without network: the VM boots on a tap that is joined to the pod's
  // network when CNI has made it. Where CNI has to make something first that the tap sits on (macvtap), one after the
  // other; where there is no tap even then, without NIC.
  absl::Status SetUpNetworkAndVm() {
    Undo("tear down network", [&context = context_](Sandbox& sandbox, absl::Time deadline) {
      return EndNetwork(context, sandbox, deadline);
    });
    Undo("end VM", [&context = context_](Sandbox& sandbox, absl::Time) { return EndVm(context, sandbox); });
    if (reserved_ == nullptr) {
      absl::StatusOr<UniqueFd> tap = context_.network.OpenTap(sandbox_->id());
      if (absl::IsFailedPrecondition(tap.status())) {
        RETURN_IF_ERROR(Timed("cni", [this] { return SetUpNetwork(); }));
        return MakeVm(network_.interfaces.empty() ? Nic::kNone : Nic::kTap);
      }
      ASSIGN_OR_RETURN(tap_, std::move(tap), "sandbox ", sandbox_->id(), ": tap");
    }
    absl::Status network, vm;
    context_.tasks
        .All({[&] {
                // A VM of the pool runs already. The kernel takes long to move a process, by waiting.
                if (reserved_ == nullptr) return absl::OkStatus();
                return Timed("cgroup", [this] {
                  JoinCgroup(site_.cgroup_procs, reserved_->vm->Pids(), sandbox_->id());
                  return absl::OkStatus();
                });
              },
              [&] {
                network = Timed("cni", [this] { return SetUpNetwork(); });
                if (!network.ok()) AbortBoot();
                return absl::OkStatus();
              },
              [&] {
                vm = MakeVm(Nic::kTap);
                return absl::OkStatus();
              }})
        .IgnoreError();  // both are looked at here
    return network.ok() ? vm : network;
  }

  absl::Status SetUpNetwork() {
    const NetworkRequest request = MakeNetworkRequest(sandbox_->id(), sandbox_->config(), site_.netns_path);
    ASSIGN_OR_RETURN(network_, context_.network.Setup(request, absl::Now() + handler_.timeouts.network), "sandbox ",
                     sandbox_->id(), ": network");
    return absl::OkStatus();
  }

  // Ends the wait for the agent: the network has failed. Either the agent's client is there already, or the factory
  // sees the flag when it has made it.
  void AbortBoot() {
    aborted_ = true;
    if (const auto agent = sandbox_->guest().agent) agent->Close();
  }

  enum class Nic { kNone, kTap };
  absl::Status MakeVm(Nic nic) {
    VmOrder order = Order(handler_, sandbox_->record());
    order.site = site_;
    order.open_tap = [this, nic]() -> absl::StatusOr<UniqueFd> {
      if (nic == Nic::kNone) return UniqueFd();
      if (tap_.ok()) return std::move(tap_);
      return context_.network.OpenTap(sandbox_->id());
    };
    order.reserved = reserved_;
    order.on_vm = [this](const std::shared_ptr<Vm>& vm, const std::shared_ptr<AgentClient>& agent) {
      sandbox_->set_guest({.vm = vm, .agent = agent});
    };
    order.cancelled = [this] { return aborted_ || context_.stopping; };
    order.on_stage = [this](absl::string_view stage, absl::StatusCode code, absl::Time start) {
      context_.OnStage(*sandbox_, stage, code, start);
    };
    ASSIGN_OR_RETURN(made_, context_.factories.factory().Make(order), "sandbox ", sandbox_->id());
    WatchVm(context_, sandbox_, *made_.vm);
    return Explained(Timed("prepare", [this]() -> absl::Status {
      ASSIGN_OR_RETURN(flavor_, PrepareGuest(context_, *sandbox_, *made_.agent));
      return absl::OkStatus();
    }));
  }

  PodContext& context_;
  const std::shared_ptr<Sandbox> sandbox_;
  const RuntimeHandler& handler_;
  Rollback rollback_;
  std::shared_ptr<ReservedVm> reserved_;
  bool taken_ = false;  // the record says so
  UniqueFd tap_;        // opened already
  VmSite site_;
  FactoryVm made_;
  AgentFlavor flavor_ = AGENT_PODVISOR;
  PodNetworkResult network_;
  std::atomic<bool> aborted_{false};
};

}  // namespace

std::shared_ptr<Sandbox> ReserveSandbox(PodContext& context, const SandboxConfig& config,
                                        const RuntimeHandler& handler) {
  SandboxRecord record;
  *record.mutable_config() = config;
  record.set_runtime_handler(handler.name);
  record.set_phase(SandboxRecord::CREATING);
  record.set_created_at_ns(absl::ToUnixNanos(context.timestamps.Next()));
  *record.mutable_resources() = config.resources();
  *record.mutable_overhead() = config.overhead();
  const VmSize size = BootSize(handler, config.resources());
  record.set_vcpus(size.vcpus);
  record.set_memory_bytes(size.memory_bytes);
  std::shared_ptr<ReservedVm> reserved = context.factories.factory().Reserve(Order(handler, record));
  record.set_id(reserved != nullptr ? reserved->site.id : RandomId());
  auto sandbox = std::make_shared<Sandbox>(std::move(record), &handler, context.store);
  sandbox->trace().Begin();
  if (auto holder = context.sandboxes.InsertOrFindHolder(SandboxName(config), sandbox)) {
    if (reserved != nullptr) context.factories.factory().GiveBack(std::move(reserved));
    return holder;
  }
  context.tasks.Run([&context, sandbox, reserved = std::move(reserved)] {
    const RequestGate::Pass pass(context.requests);
    const absl::Time start = absl::Now();
    absl::Status status = RunSandbox(context, sandbox, reserved);
    context.OnStage(*sandbox, "total", status.code(), start);
    sandbox->created().Set(std::move(status));
  });
  return sandbox;
}

absl::Status RunSandbox(PodContext& context, const std::shared_ptr<Sandbox>& sandbox,
                        const std::shared_ptr<ReservedVm>& reserved) {
  ASSIGN_OR_RETURN(Turn turn, sandbox->turns().Take(absl::InfiniteFuture(), "sandbox " + sandbox->id()));
  RETURN_IF_ERROR(Creation(context, sandbox, reserved).Run());
  spdlog::info("sandbox {}: ready: pod {}/{}", sandbox->id(), sandbox->config().metadata().namespace_(),
               sandbox->config().metadata().name());
  context.Changed(*sandbox);
  // Its exit watch leaves a sandbox alone that is still being made.
  if (!sandbox->vm_exit_reason().empty()) HandleVmExit(context, sandbox);
  return absl::OkStatus();
}

}  // namespace podvisor
