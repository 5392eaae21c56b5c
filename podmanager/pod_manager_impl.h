// PodManager as it is: sandboxes that are VMs.
#ifndef PODVISOR_PODMANAGER_POD_MANAGER_IMPL_H_
#define PODVISOR_PODMANAGER_POD_MANAGER_IMPL_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "podmanager/container_state.h"
#include "podmanager/hooks.h"
#include "podmanager/pod_context.h"
#include "podmanager/pod_manager.h"
#include "podmanager/sandbox_state.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// For the metrics page: numbers of what there is now.
struct PodSnapshot {
  std::map<SandboxPhase, int> sandboxes;     // every phase has an entry
  std::map<ContainerPhase, int> containers;  // likewise
  struct VmNumbers {
    std::string sandbox_id, pod_namespace, pod_name;
    VmUsage usage;
    std::map<std::string, double> metrics;  // the driver's own
  };
  std::vector<VmNumbers> vms;          // of the sandboxes that have a VM
  std::map<std::string, int> origins;  // of those: by "cold", "template", "pool"
  std::vector<PoolView> pools;
  std::vector<TemplateView> templates;
};

// Thread-safe. Wires the parts together; what is done to pods is in sandbox_operations.h and container_operations.h.
//
// Work that an RPC has asked for runs as a task with budgets of its own; callers wait for it until their deadline.
class PodManagerImpl final : public PodManager {
 public:
  // Recovers what an earlier daemon left (recovery.h) before it returns, so far as no guest or plugin has to be waited
  // for; the rest goes on in tasks. kInvalidArgument without a default handler; kFailedPrecondition for records of a
  // newer version.
  static absl::StatusOr<std::unique_ptr<PodManagerImpl>> Create(PodManagerOptions options, PodManagerParts parts);

  // Begins to make templates and to fill the pool, in the background: when the daemon serves. Before that, pods boot
  // cold. Once.
  void StartFactories();

  // VMs and their containers run on; the records say what a next daemon has to know. Ends what is under way: calls to
  // guests fail at once, starts of VMs are undone. Nothing may be called any more.
  ~PodManagerImpl() override;

  // Refuses new work (kUnavailable), ends the pool's VMs, which belong to no pod, and waits for the work under way
  // until `deadline`: before the destructor. Without it the pool's VMs stay for the next daemon, as after a kill.
  void Drain(absl::Time deadline);

  // What hooks may look at: every sandbox and container that clients can see.
  struct HookSnapshot {
    std::vector<HookPod> pods;
    std::vector<HookContainer> containers;
  };
  HookSnapshot SnapshotForHooks();
  // UpdateContainerResources() without a call of hooks: for what they ask for themselves.
  absl::Status UpdateForHook(const std::string& id, const Resources& resources, absl::Time deadline);

  // Asks the system about every VM's processes: tens of microseconds for each.
  PodSnapshot Snapshot();

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
  absl::StatusOr<std::unique_ptr<EventStream>> SubscribeEvents() override;

 private:
  PodManagerImpl(PodManagerOptions options, PodManagerParts parts) : context_(std::move(options), parts) {}

  absl::Status CheckAccepting() const;
  static bool Matches(const Sandbox& sandbox, const SandboxFilter& filter);
  // A sandbox that clients may see, by id or prefix.
  absl::StatusOr<std::shared_ptr<Sandbox>> FindSandbox(const std::string& id);
  absl::StatusOr<std::shared_ptr<Container>> FindContainer(const std::string& id);
  // `what` is what needs it to run: "exec".
  absl::StatusOr<std::shared_ptr<Container>> FindRunningContainer(const std::string& id, absl::string_view what);
  // No calls to guests from here on, and no callbacks of theirs.
  void LetGoOfGuests();

  std::atomic<bool> draining_{false};
  PodContext context_;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_POD_MANAGER_IMPL_H_
