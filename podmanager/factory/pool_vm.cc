#include "podmanager/factory/pool_vm.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/factory/rehearsal.h"
#include "podmanager/factory/start_vm.h"
#include "podmanager/factory/template_store.h"
#include "podmanager/paths.h"

namespace podvisor {

namespace {

// For an adopted VM's agent, which has nothing to do but to answer.
constexpr absl::Duration kAnswerBudget = absl::Seconds(20);

absl::Status MakeReady(const FactoryParts& parts, const RuntimeHandler& handler, absl::Time patience, PoolVm& vm) {
  const auto stand_back = [&parts, patience] { parts.requests.AwaitLull(patience); };
  stand_back();
  RETURN_IF_ERROR(Rehearse(handler, *vm.vm, *vm.agent, stand_back));
  RETURN_IF_ERROR(vm.vm->Pause(), "pause");
  if (absl::StatusOr<VmUsage> usage = vm.vm->Usage(); usage.ok()) vm.memory_bytes = usage->proportional_bytes;
  PoolRecord record;
  record.set_id(vm.site.id);
  record.set_template_key(vm.key);
  record.set_runtime_handler(handler.name);
  record.set_vm_record(vm.vm_record);
  record.set_netns_path(vm.site.netns_path);
  return parts.store.Put(std::move(record));
}

absl::Status RemoveRest(const FactoryParts& parts, const std::string& id) {
  RETURN_IF_ERROR(RemoveOwnSite(parts, id));
  return parts.store.DeletePoolVm(id);
}

}  // namespace

absl::StatusOr<std::string> PoolKey(const RuntimeHandler& handler) {
  ASSIGN_OR_RETURN(const std::string key, TemplateStore::KeyOf(handler));
  return absl::StrCat(key, handler.template_pages == TemplatePages::kCopied ? ":copied" : "");
}

absl::StatusOr<std::shared_ptr<PoolVm>> MakePoolVm(const FactoryParts& parts, VmFactory& factory,
                                                   const RuntimeHandler& handler, const std::string& key) {
  const absl::Time patience = absl::Now() + kStandBack;
  parts.requests.AwaitLull(patience);
  ASSIGN_OR_RETURN(VmSite site, MakeOwnSite(parts, handler));
  absl::StatusOr<FactoryVm> made = factory.Make(OwnOrder(parts, handler, site));
  if (!made.ok()) {
    if (absl::Status removed = RemoveOwnSite(parts, site.id); !removed.ok()) {
      spdlog::error("pool VM {}: {}", site.id, removed.ToString());
    }
    return std::move(made).status();
  }
  auto vm = std::make_shared<PoolVm>();
  vm->site = std::move(site);
  vm->vm = std::move(made->vm);
  vm->agent = std::move(made->agent);
  vm->vm_record = vm->vm->Record();
  vm->key = key;
  absl::Status ready = MakeReady(parts, handler, patience, *vm);
  if (ready.ok()) return vm;
  EndPoolVm(parts, *vm);
  return ready;
}

absl::StatusOr<std::shared_ptr<PoolVm>> AdoptPoolVm(const FactoryParts& parts, const RuntimeHandler& handler,
                                                    const PoolRecord& record) {
  ASSIGN_OR_RETURN(const std::string key, PoolKey(handler));
  if (key != record.template_key()) return absl::FailedPreconditionError("its guest is not what it is to be now");
  auto vm = std::make_shared<PoolVm>();
  ASSIGN_OR_RETURN(vm->vm, handler.hypervisor->Adopt(record.vm_record()));
  vm->agent = AgentClient::Create(parts.loop, vm->vm->agent_channel(), parts.on_agent_call);
  parts.own_agents->Add(vm->agent);
  vm->vm_record = record.vm_record();
  vm->key = key;
  vm->site.id = record.id();
  vm->site.netns_path = record.netns_path();
  vm->site.cgroup_procs = parts.cgroup_procs;
  RETURN_IF_ERROR(MakeVmFolders(parts.run_dir, handler.hypervisor->capabilities(), &vm->site));  // they exist: paths
  RETURN_IF_ERROR(vm->vm->Resume());
  RETURN_IF_ERROR(vm->agent->WaitReady(absl::Now() + kAnswerBudget));
  RETURN_IF_ERROR(vm->vm->Pause());
  if (absl::StatusOr<VmUsage> usage = vm->vm->Usage(); usage.ok()) vm->memory_bytes = usage->proportional_bytes;
  return vm;
}

void EndPoolVm(const FactoryParts& parts, PoolVm& vm) {
  absl::Status status = DiscardVm(*vm.vm, *vm.agent);
  if (status.ok()) status = RemoveRest(parts, vm.site.id);
  // A daemon that goes down leaves the record; the next one finds that there is no VM any more.
  if (!status.ok() && !parts.stopping) spdlog::error("pool VM {}: can't be removed: {}", vm.site.id, status.ToString());
}

void EndLostPoolVm(const FactoryParts& parts, const std::vector<Hypervisor*>& drivers, const PoolRecord& record) {
  absl::Status status;
  for (Hypervisor* driver : drivers) {
    if (absl::StatusOr<std::unique_ptr<Vm>> vm = driver->Adopt(record.vm_record()); vm.ok()) {
      status.Update((*vm)->Stop(absl::ZeroDuration()));
    }
    status.Update(driver->CleanUp(record.id(), SandboxRuntimeDir(parts.run_dir, record.id())));
  }
  if (status.ok()) status = RemoveRest(parts, record.id());
  if (!status.ok()) spdlog::error("pool VM {}: can't be removed: {}", record.id(), status.ToString());
}

}  // namespace podvisor
