// One pod's sandbox in memory: its record, its VM and agent, and who may do what to it at the moment.
#ifndef PODVISOR_PODMANAGER_SANDBOX_H_
#define PODVISOR_PODMANAGER_SANDBOX_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/call_once.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "podmanager/events/life_stage.h"
#include "podmanager/record_store.h"
#include "podmanager/records.pb.h"
#include "podmanager/runtime_handler.h"
#include "podmanager/sandbox_disks.h"
#include "podmanager/sandbox_state.h"
#include "podmanager/stage_trace.h"
#include "podmanager/stats/usage_history.h"
#include "podmanager/task_group.h"
#include "podmanager/turn.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// The name that exists once: two sandboxes never have the same.
std::string SandboxName(const SandboxConfig& config);

// Thread-safe. Nothing here waits for the guest. Its destructor leaves the VM running.
class Sandbox {
 public:
  using Change = std::function<void(SandboxRecord&)>;

  // `handler` is null if the record names one that is no longer configured. `store` outlives the sandbox.
  Sandbox(SandboxRecord record, const RuntimeHandler* handler, RecordStore& store);

  const std::string& id() const { return id_; }
  const SandboxConfig& config() const { return *config_; }
  std::shared_ptr<const SandboxConfig> shared_config() const { return config_; }
  const std::string& handler_name() const { return handler_name_; }
  const RuntimeHandler* handler() const { return handler_; }
  const RuntimeTimeouts& timeouts() const;

  SandboxPhase phase() const;
  SandboxRecord record() const;  // a copy
  // Under the lock: `look` must not call this object, nor wait.
  void Look(absl::FunctionRef<void(const SandboxRecord&)> look) const;

  // To the next phase, with `change` made to the record (under the lock: it must not call this object), on disk first.
  // kFailedPrecondition if the diagram has no such arrow; an error of the store leaves all as it was.
  absl::Status TransitionTo(SandboxPhase next, const Change& change = nullptr);
  // The same for what has happened and can't be refused: when the record can't be written, the state in memory moves
  // nevertheless and the failure is logged. False, and no effect, unless the phase is `from`.
  bool Observe(SandboxPhase from, SandboxPhase next, const Change& change);
  // Changes the record within the phase.
  absl::Status Update(const Change& change);
  // The same for the first record of a sandbox that takes a VM of the pool: RecordStore::PutTaken().
  absl::Status WriteTaken(const Change& change);
  absl::Status WriteRecord();

  // The VM and the way to its agent. Both null before there are any, after a stop, and after a restart if the VM could
  // not be adopted.
  struct Guest {
    std::shared_ptr<Vm> vm;
    std::shared_ptr<AgentClient> agent;
  };
  Guest guest() const;
  void set_guest(Guest guest);

  // Why the VM ended by itself; empty if it has not. Set by its exit watch.
  std::string vm_exit_reason() const;
  void set_vm_exit_reason(std::string reason);

  // Set once, when the creation has ended, and been undone if it failed.
  Outcome& created() { return created_; }
  // How much of its life has been told by events; PodContext::telling guards it.
  LifeStage told() const { return told_; }
  void set_told(LifeStage stage) const { told_ = stage; }
  Turns& turns() { return turns_; }           // creation, stop, removal: one at a time
  Gate& containers() { return containers_; }  // open for what is done to its containers until it is stopped
  SandboxDisks& disks() { return disks_; }
  StageTrace& trace() { return trace_; }
  const StageTrace& trace() const { return trace_; }
  UsageHistory& usage() { return usage_; }
  Turns& sizing() { return sizing_; }                  // of the VM; taken after the others, as the last
  absl::once_flag& stop_told() { return stop_told_; }  // hooks have been told of the stop

 private:
  absl::Status MoveLocked(SandboxPhase next, const Change& change, bool* allowed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string id_;
  const std::shared_ptr<const SandboxConfig> config_;
  const std::string handler_name_;
  const RuntimeHandler* const handler_;
  RecordStore& store_;

  Outcome created_;
  Turns turns_;
  mutable LifeStage told_;
  Gate containers_;
  SandboxDisks disks_;
  StageTrace trace_;  // of its start, if that was by this daemon
  UsageHistory usage_;
  Turns sizing_;
  absl::once_flag stop_told_;

  mutable absl::Mutex mu_;  // a leaf but for the state database
  SandboxPhase phase_ ABSL_GUARDED_BY(mu_);
  SandboxRecord record_ ABSL_GUARDED_BY(mu_);
  Guest guest_ ABSL_GUARDED_BY(mu_);
  std::string vm_exit_reason_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SANDBOX_H_
