// All containers of the sandbox, and what can be done to them.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_CONTAINERS_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_CONTAINERS_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/guest/call.h"
#include "agent/guest/launch/launch.h"
#include "agent/guest/loop.h"
#include "agent/guest/runtime/container.h"
#include "agent/guest/runtime/device_filter.h"
#include "agent/guest/runtime/file_watcher.h"
#include "agent/guest/sysctls.h"
#include "agent/guest/uevents.h"

namespace podvisor::guest {

class Containers {
 public:
  // `cgroups` may be null: then nothing is limited or measured. `sysctls` learns what containers are about to change.
  // `users` are the pod's at any time: containers that want a user namespace share that one.
  Containers(Loop& loop, Uevents& uevents, CgroupTree* cgroups, Sysctls& sysctls, const PodUsers& users);

  // Each answers its call when the work is done, or why it is not.
  void Create(const grpc::CreateContainerRequest& request, CallPtr call);
  void Start(const std::string& id, CallPtr call);
  void Exec(const grpc::ExecProcessRequest& request, CallPtr call);
  // Extension.RunExec.
  void RunExec(const podvisor::agent::v1::RunExecRequest& request, CallPtr call);
  // Answered when the kernel has stopped all of its processes. kFailedPrecondition unless it runs.
  void Pause(const std::string& id, CallPtr call);
  absl::Status Resume(const std::string& id);
  // Kills what runs in it, waits for its end, undoes its mounts.
  void Remove(const std::string& id, CallPtr call);

  // kNotFound names the container.
  absl::StatusOr<std::shared_ptr<Container>> Find(const std::string& id) const;
  absl::StatusOr<std::shared_ptr<Process>> FindProcess(const std::string& id, const std::string& exec_id) const;
  void WaitProcess(const grpc::WaitProcessRequest& request, CallPtr call);
  // Forgets an exec that has exited. Success if it is unknown, kFailedPrecondition if it runs.
  absl::Status ReleaseExec(const std::string& id, const std::string& exec_id);
  std::vector<podvisor::agent::v1::ProcessState> List() const;
  void ForEach(const std::function<void(const Container&)>& function) const {
    for (const auto& [id, container] : containers_) function(*container);
  }
  // Answers with the next container in which the kernel has killed something for lack of memory.
  void GetOomEvent(CallPtr call);

  // The kernel has reaped a child. False if it is none of ours.
  bool OnChildExit(pid_t pid, int wait_status);

  // SIGKILL to all; `done` when the last is gone and removed, with the pid namespace that they may share. Nothing is
  // remembered of them.
  void RemoveAll(std::function<void()> done);

 private:
  using ExecStarted = std::function<void(absl::StatusOr<std::shared_ptr<Process>>)>;
  void StartExec(const grpc::ExecProcessRequest& request, ExecStarted started);
  void LaunchContainer(const std::shared_ptr<Container>& container, CallPtr call);
  absl::Status TryLaunch(const std::shared_ptr<Container>& container, const CallPtr& call);
  absl::StatusOr<PodUsers> UsersOf(const grpc::Spec& spec) const;
  absl::StatusOr<int> SharedPidNamespace();
  absl::StatusOr<int> TargetPidNamespace(const grpc::Spec& spec) const;
  void WatchCgroup(const std::shared_ptr<Container>& container);
  void OnCgroupEvent(const std::shared_ptr<Container>& container);
  void Kill(const std::shared_ptr<Container>& container);
  void CheckOom(Container& container);
  void FailCreation(const std::shared_ptr<Container>& container, const CallPtr& call, const absl::Status& status);
  void OnProcessExit(const std::shared_ptr<Process>& process, int wait_status);
  void FinishRemoval(const std::shared_ptr<Container>& container);
  void TellIfEmpty();
  bool HasProcesses(const Container& container) const;

  Loop& loop_;
  Uevents& uevents_;
  CgroupTree* const cgroups_;
  Sysctls& sysctls_;
  const PodUsers& users_;
  FileWatcher watcher_;
  SeccompFilters seccomp_filters_;
  DeviceFilters device_filters_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  std::map<pid_t, std::shared_ptr<Process>> by_pid_;
  std::optional<Reaper> reaper_;
  std::deque<std::string> oom_events_;
  std::deque<CallPtr> oom_waiters_;
  std::vector<std::function<void()>> when_empty_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_CONTAINERS_H_
