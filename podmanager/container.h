// One container in memory: its record, what reads its output and waits for its end, and who may do what to it.
#ifndef PODVISOR_PODMANAGER_CONTAINER_H_
#define PODVISOR_PODMANAGER_CONTAINER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/call_once.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "podmanager/container_state.h"
#include "podmanager/events/life_stage.h"
#include "podmanager/exit_watch.h"
#include "podmanager/io/container_log.h"
#include "podmanager/record_store.h"
#include "podmanager/records.pb.h"
#include "podmanager/sandbox.h"
#include "podmanager/task_group.h"
#include "podmanager/turn.h"

namespace podvisor {

// The name that exists once: the container's in its sandbox, with its attempt.
std::string ContainerName(const std::string& sandbox_id, const ContainerConfig& config);

// Thread-safe. Nothing here waits for the guest. Keeps its sandbox alive.
class Container {
 public:
  using Change = std::function<void(ContainerRecord&)>;

  Container(ContainerRecord record, std::shared_ptr<Sandbox> sandbox, RecordStore& store);

  const std::string& id() const { return id_; }
  const ContainerConfig& config() const { return *config_; }
  std::shared_ptr<const ContainerConfig> shared_config() const { return config_; }
  const std::shared_ptr<Sandbox>& sandbox() const { return sandbox_; }

  ContainerPhase phase() const;
  ContainerRecord record() const;  // a copy
  // What is carried out: config(), or what hooks have made of it.
  ContainerConfig effective_config() const;
  // As Sandbox::Look().
  void Look(absl::FunctionRef<void(const ContainerRecord&)> look) const;

  // As Sandbox::TransitionTo(), Observe() and Update().
  absl::Status TransitionTo(ContainerPhase next, const Change& change = nullptr);
  bool Observe(ContainerPhase next, const Change& change);
  absl::Status Update(const Change& change);
  absl::Status WriteRecord();

  // Whether its process has ended, or never ran, by `deadline`: the phase is neither kStarting nor kRunning.
  // Also true after Interrupt(): look at the phase.
  bool AwaitEnded(absl::Time deadline);
  // Ends every AwaitEnded(), now and later: the daemon goes down.
  void Interrupt();

  // True for the first caller: a program that takes a second SIGTERM as "now" gets one only, however often the kubelet
  // asks for the stop.
  bool ClaimStopSignal();

  // What reads its output and what waits for its end; both null unless it has been started.
  struct Watchers {
    std::shared_ptr<ContainerLog> log;
    std::shared_ptr<ContainerExitWatch> exit;
  };
  Watchers watchers() const;
  // Returns the ones before, for the caller to stop.
  Watchers set_watchers(Watchers watchers);

  // Set once, when the creation has ended, and been undone if it failed.
  Outcome& created() { return created_; }
  // How much of its life has been told by events; PodContext::telling guards it.
  LifeStage told() const { return told_; }
  void set_told(LifeStage stage) const { told_ = stage; }
  Turns& turns() { return turns_; }                    // creation, start, removal: one at a time
  absl::once_flag& stop_told() { return stop_told_; }  // hooks have been told that it ended

 private:
  bool Ended() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return interrupted_ || (phase_ != ContainerPhase::kStarting && phase_ != ContainerPhase::kRunning);
  }
  absl::Status MoveLocked(ContainerPhase next, const Change& change, bool* allowed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string id_;
  const std::shared_ptr<const ContainerConfig> config_;
  const std::shared_ptr<Sandbox> sandbox_;
  RecordStore& store_;

  Outcome created_;
  Turns turns_;
  mutable LifeStage told_;
  absl::once_flag stop_told_;

  mutable absl::Mutex mu_;  // a leaf but for the state database
  ContainerPhase phase_ ABSL_GUARDED_BY(mu_);
  ContainerRecord record_ ABSL_GUARDED_BY(mu_);
  Watchers watchers_ ABSL_GUARDED_BY(mu_);
  bool stop_signalled_ ABSL_GUARDED_BY(mu_) = false;
  bool interrupted_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_CONTAINER_H_
