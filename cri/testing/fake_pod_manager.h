// Pods and containers that exist only in memory, and behave: for tests of what stands on PodManager.
#ifndef PODVISOR_CRI_TESTING_FAKE_POD_MANAGER_H_
#define PODVISOR_CRI_TESTING_FAKE_POD_MANAGER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "podmanager/events/event_hub.h"
#include "podmanager/pod_manager.h"

namespace podvisor::cri {

// Thread-safe. Ids are hexadecimal and count up. A container "runs" until it is stopped, or ends at once if `program`
// says so. Commands run by `program`: the test's idea of what is in the container.
class FakePodManager final : public PodManager {
 public:
  // What a command does: its outputs and exit code.
  using Program = std::function<ExecResult(const std::vector<std::string>& command)>;

  // What StartExec, Attach and DialPort start: `what` is the command's words with a space between, "attach", or
  // "port 80".
  using Stream = std::function<absl::StatusOr<std::shared_ptr<StreamSession>>(
      const std::string& what, const StreamOptions& options, std::shared_ptr<StreamPeer> peer)>;

  void SetProgram(Program program);
  void SetStream(Stream stream);
  void SetHandlers(std::vector<RuntimeHandlerInfo> handlers);
  // What the next call of `method` ("RunPodSandbox") answers instead of doing anything.
  void FailNext(const std::string& method, absl::Status status);
  void SetRuntimeReady(absl::Status status);
  void SetNetworkReady(absl::Status status);
  std::string pod_cidr();
  absl::Duration last_grace();
  // What every container uses; a pod uses as much for each.
  void SetUsage(agent::v1::CgroupUsage figures);
  Resources sandbox_resources();  // of the last UpdateSandboxResources()
  // What listeners are told.
  EventHub& events() { return events_; }
  // Ends a running container.
  void Exit(const std::string& container_id, int exit_code);

  absl::Status RuntimeReady() override;
  absl::Status NetworkReady() override;
  std::vector<RuntimeHandlerInfo> Handlers() override;
  void UpdatePodCidr(const std::string& cidr) override;
  absl::StatusOr<std::string> RunPodSandbox(const SandboxConfig& config, const std::string& runtime_handler,
                                            absl::Time deadline) override;
  absl::Status StopPodSandbox(const std::string& id, absl::Time deadline) override;
  absl::Status RemovePodSandbox(const std::string& id, absl::Time deadline) override;
  absl::StatusOr<SandboxStatus> GetSandbox(const std::string& id, Detail detail) override;
  std::vector<SandboxStatus> ListSandboxes(const SandboxFilter& filter) override;
  absl::StatusOr<std::string> CreateContainer(const std::string& sandbox_id, const ContainerConfig& config,
                                              absl::Time deadline) override;
  absl::Status StartContainer(const std::string& id, absl::Time deadline) override;
  absl::Status StopContainer(const std::string& id, absl::Duration grace, absl::Time deadline) override;
  absl::Status RemoveContainer(const std::string& id, absl::Time deadline) override;
  absl::StatusOr<ContainerStatus> GetContainer(const std::string& id, Detail detail) override;
  std::vector<ContainerStatus> ListContainers(const ContainerFilter& filter) override;
  absl::StatusOr<ExecResult> ExecSync(const std::string& id, const std::vector<std::string>& command,
                                      absl::Duration timeout, absl::Time deadline) override;
  absl::StatusOr<std::shared_ptr<StreamSession>> StartExec(const std::string& id,
                                                           const std::vector<std::string>& command,
                                                           const StreamOptions& options,
                                                           std::shared_ptr<StreamPeer> peer) override;
  absl::StatusOr<std::shared_ptr<StreamSession>> Attach(const std::string& id, const StreamOptions& options,
                                                        std::shared_ptr<StreamPeer> peer) override;
  absl::StatusOr<std::shared_ptr<StreamSession>> DialPort(const std::string& sandbox_id, uint16_t port,
                                                          std::shared_ptr<StreamPeer> peer) override;
  absl::Status ReopenContainerLog(const std::string& id) override;
  absl::Status UpdateContainerResources(const std::string& id, const Resources& resources,
                                        absl::Time deadline) override;
  absl::Status UpdateSandboxResources(const std::string& id, const Resources& overhead, const Resources& resources,
                                      absl::Time deadline) override;
  absl::StatusOr<PodUsage> GetUsage(const std::string& sandbox_id, Detail detail, absl::Time deadline) override;
  std::vector<PodUsage> ListUsage(const SandboxFilter& filter, Detail detail, absl::Time deadline) override;
  absl::StatusOr<std::unique_ptr<EventStream>> SubscribeEvents() override { return events_.Subscribe(); }

 private:
  absl::StatusOr<std::shared_ptr<StreamSession>> StartStream(const std::string& what, const StreamOptions& options,
                                                             std::shared_ptr<StreamPeer> peer);
  absl::Status TakeFailure(const std::string& method) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string NewId() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  SandboxStatus* FindSandbox(const std::string& prefix) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ContainerStatus* FindContainer(const std::string& prefix) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExitLocked(ContainerStatus& container, int exit_code) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  PodUsage UsageOf(const SandboxStatus& sandbox, Detail detail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  EventHub events_{4};  // small, for tests of slow listeners
  absl::Mutex mu_;
  agent::v1::CgroupUsage figures_ ABSL_GUARDED_BY(mu_);
  Resources sandbox_resources_ ABSL_GUARDED_BY(mu_);
  Program program_ ABSL_GUARDED_BY(mu_);
  Stream stream_ ABSL_GUARDED_BY(mu_);
  std::vector<RuntimeHandlerInfo> handlers_ ABSL_GUARDED_BY(mu_) = {RuntimeHandlerInfo{}};
  std::map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mu_);
  absl::Status runtime_ready_ ABSL_GUARDED_BY(mu_);
  absl::Status network_ready_ ABSL_GUARDED_BY(mu_);
  std::string pod_cidr_ ABSL_GUARDED_BY(mu_);
  absl::Duration last_grace_ ABSL_GUARDED_BY(mu_);
  int next_id_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<std::string, SandboxStatus> sandboxes_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ContainerStatus> containers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_TESTING_FAKE_POD_MANAGER_H_
