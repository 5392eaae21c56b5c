// The single steps that undo what run_sandbox.cc does.
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/factory/vm_site.h"
#include "podmanager/host_cgroup.h"
#include "podmanager/network_request.h"
#include "podmanager/paths.h"
#include "podmanager/sandbox_operations.h"

namespace podvisor {

namespace {

// Without a handle there is only what the driver finds by id. A handler that is no longer configured may have been
// another driver's: all are asked.
absl::Status EndUnknownVm(PodContext& context, const Sandbox& sandbox) {
  std::set<Hypervisor*> drivers;
  if (sandbox.handler() != nullptr) {
    drivers.insert(sandbox.handler()->hypervisor);
  } else {
    for (const auto& [name, handler] : context.options.handlers) drivers.insert(handler.hypervisor);
  }
  const std::string vm_record = sandbox.record().vm_record();
  if (sandbox.handler() != nullptr && !vm_record.empty()) {
    absl::StatusOr<std::unique_ptr<Vm>> vm = sandbox.handler()->hypervisor->Adopt(vm_record);
    if (vm.ok()) RETURN_IF_ERROR((*vm)->Stop(sandbox.timeouts().vm_stop_grace));
  }
  const std::string runtime_dir = SandboxRuntimeDir(context.options.run_dir, sandbox.id());
  for (Hypervisor* driver : drivers) RETURN_IF_ERROR(driver->CleanUp(sandbox.id(), runtime_dir));
  return absl::OkStatus();
}

}  // namespace

absl::Status EndVm(PodContext& context, Sandbox& sandbox) {
  const Sandbox::Guest guest = sandbox.guest();
  if (guest.agent != nullptr) guest.agent->Close();
  if (guest.vm == nullptr) return Annotate(EndUnknownVm(context, sandbox), "end VM of sandbox ", sandbox.id());
  RETURN_IF_ERROR(guest.vm->Stop(sandbox.timeouts().vm_stop_grace), "stop VM of sandbox ", sandbox.id());
  guest.vm->WatchExit(nullptr);
  sandbox.set_guest({});
  return absl::OkStatus();
}

absl::Status EndNetwork(PodContext& context, const Sandbox& sandbox, absl::Time deadline) {
  const SandboxRecord record = sandbox.record();
  const NetworkRequest request = MakeNetworkRequest(record.id(), record.config(), record.netns_path());
  return Annotate(context.network.Teardown(request, deadline), "network of sandbox ", sandbox.id());
}

absl::Status EndCgroup(const Sandbox& sandbox, absl::Time deadline) {
  const CgroupRecord record = sandbox.record().cgroup();
  CgroupPlan plan;
  plan.directories.assign(record.directories().begin(), record.directories().end());
  plan.created_parents.assign(record.created_parents().begin(), record.created_parents().end());
  return Annotate(RemoveCgroup(plan, deadline), "sandbox ", sandbox.id());
}

absl::Status RemoveRuntimeFiles(PodContext& context, const std::string& sandbox_id) {
  return RemoveVmFolders(context.options.run_dir, sandbox_id);
}

absl::Status ReleaseSandbox(PodContext& context, Sandbox& sandbox, const std::function<absl::Status()>& quiesce) {
  const absl::Time deadline = absl::Now() + sandbox.timeouts().network;
  RETURN_IF_ERROR(context.tasks.All({
      [&] { return EndNetwork(context, sandbox, deadline); },
      [&]() -> absl::Status {
        if (quiesce) RETURN_IF_ERROR(quiesce());
        RETURN_IF_ERROR(EndVm(context, sandbox));
        return context.tasks.All(
            {[&] { return EndCgroup(sandbox, deadline); }, [&] { return RemoveRuntimeFiles(context, sandbox.id()); }});
      },
  }));
  return Annotate(context.network.DeleteNamespace(sandbox.id()), "network namespace of sandbox ", sandbox.id());
}

}  // namespace podvisor
