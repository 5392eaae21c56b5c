#include "daemon/nri_hooks.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "daemon/nri_messages.h"
#include "nri/plugin_listener.h"

namespace podvisor {

namespace {

// What a plugin asks of other containers: an operation on them that is under way comes first, and may wait for a plugin
// itself.
constexpr absl::Duration kUpdateTimeout = absl::Seconds(15);
constexpr absl::Duration kEvictionGrace = absl::Seconds(30);

class Hooks final : public NriHooks, public PluginRuntime {
 public:
  Hooks(EventLoop& loop, PluginRegistryOptions options)
      : loop_(loop), registry_(PluginRegistry::Create(loop, std::move(options), *this)) {}

  absl::Status Serve(const std::string& socket, PodManagerImpl& pods) override {
    pods_ = &pods;
    ASSIGN_OR_RETURN(listener_, PluginListener::Listen(loop_, socket, [this](UniqueFd connection) {
                       if (const auto plugins = registry()) plugins->Connect(std::move(connection));
                     }));
    spdlog::info("NRI plugins may connect to {}", socket);
    return absl::OkStatus();
  }

  void Stop() override {
    listener_.reset();
    // Ends outside of the lock, or with the operation that still uses it.
    const std::shared_ptr<PluginRegistry> last = registry();
    absl::MutexLock lock(&mu_);
    registry_.reset();
  }

  // PodHooks.

  absl::Status OnRunSandbox(const HookPod& pod) override {
    const auto plugins = registry();
    return plugins != nullptr ? plugins->RunPodSandbox(ToNri(pod)) : absl::OkStatus();
  }

  absl::Status OnUpdateSandbox(const HookPod& pod, const Resources& overhead, const Resources& resources) override {
    const auto plugins = registry();
    if (plugins == nullptr) return absl::OkStatus();
    nri_api::UpdatePodSandboxRequest request;
    *request.mutable_pod() = ToNri(pod);
    *request.mutable_overhead_linux_resources() = ToNri(overhead);
    *request.mutable_linux_resources() = ToNri(resources);
    return plugins->UpdatePodSandbox(request);
  }

  void AfterUpdateSandbox(const HookPod& pod) override {
    if (const auto plugins = registry()) Note(pod.id, plugins->PostUpdatePodSandbox(ToNri(pod)));
  }
  void OnStopSandbox(const HookPod& pod) override {
    if (const auto plugins = registry()) Note(pod.id, plugins->StopPodSandbox(ToNri(pod)));
  }
  void OnRemoveSandbox(const HookPod& pod) override {
    if (const auto plugins = registry()) Note(pod.id, plugins->RemovePodSandbox(ToNri(pod)));
  }

  absl::Status OnCreateContainer(const HookPod& pod, const HookContainer& container, ContainerConfig* config) override {
    const auto plugins = registry();
    if (plugins == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(PluginRegistry::Wishes wishes, plugins->CreateContainer(ToNri(pod), ToNri(container)));
    RETURN_IF_ERROR(Apply(wishes.adjustment, config));
    return Fulfil(wishes);
  }

  void AfterCreateContainer(const HookPod& pod, const HookContainer& container) override {
    Note(container.id, Event(nri_api::POST_CREATE_CONTAINER, pod, container));
  }
  absl::Status OnStartContainer(const HookPod& pod, const HookContainer& container) override {
    return Event(nri_api::START_CONTAINER, pod, container);
  }
  void AfterStartContainer(const HookPod& pod, const HookContainer& container) override {
    Note(container.id, Event(nri_api::POST_START_CONTAINER, pod, container));
  }

  absl::Status OnUpdateContainer(const HookPod& pod, const HookContainer& container, Resources* update) override {
    const auto plugins = registry();
    if (plugins == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(PluginRegistry::Wishes wishes,
                     plugins->UpdateContainer(ToNri(pod), ToNri(container), ToNri(*update)));
    Apply(wishes.adjustment.linux().resources(), update);
    return Fulfil(wishes);
  }

  void AfterUpdateContainer(const HookPod& pod, const HookContainer& container) override {
    Note(container.id, Event(nri_api::POST_UPDATE_CONTAINER, pod, container));
  }
  void OnStopContainer(const HookPod& pod, const HookContainer& container) override {
    if (const auto plugins = registry())
      Note(container.id, Fulfil(plugins->StopContainer(ToNri(pod), ToNri(container))));
  }
  void OnRemoveContainer(const HookPod& pod, const HookContainer& container) override {
    Note(container.id, Event(nri_api::REMOVE_CONTAINER, pod, container));
  }

  // PluginRuntime.

  Objects List() override {
    Objects objects;
    const PodManagerImpl::HookSnapshot snapshot = pods_->SnapshotForHooks();
    for (const HookPod& pod : snapshot.pods) objects.pods.push_back(ToNri(pod));
    for (const HookContainer& container : snapshot.containers) objects.containers.push_back(ToNri(container));
    return objects;
  }

  std::vector<nri_api::ContainerUpdate> Update(const std::vector<nri_api::ContainerUpdate>& updates) override {
    std::vector<nri_api::ContainerUpdate> failed;
    for (const nri_api::ContainerUpdate& update : updates) {
      Resources resources;
      Apply(update.linux().resources(), &resources);
      absl::Status status = pods_->UpdateForHook(update.container_id(), resources, absl::Now() + kUpdateTimeout);
      if (status.ok()) continue;
      spdlog::warn("NRI: update of container {}: {}", update.container_id(), status.ToString());
      failed.push_back(update);
    }
    return failed;
  }

  void Evict(const nri_api::ContainerEviction& eviction) override {
    // With a deadline that has passed the stop goes on by itself; an error of it is logged.
    absl::Status status = pods_->StopContainer(eviction.container_id(), kEvictionGrace, absl::Now());
    if (!status.ok() && !absl::IsDeadlineExceeded(status)) Note(eviction.container_id(), status);
  }

 private:
  static void Note(const std::string& id, const absl::Status& status) {
    if (!status.ok()) spdlog::warn("{}: {}", id, status.ToString());
  }

  absl::Status Event(nri_api::Event event, const HookPod& pod, const HookContainer& container) {
    const auto plugins = registry();
    return plugins != nullptr ? plugins->ContainerEvent(event, ToNri(pod), ToNri(container)) : absl::OkStatus();
  }

  absl::Status Fulfil(const PluginRegistry::Wishes& wishes) {
    for (const nri_api::ContainerEviction& eviction : wishes.evictions) Evict(eviction);
    for (const nri_api::ContainerUpdate& failed : Update(wishes.updates)) {
      if (failed.ignore_failure()) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("an NRI plugin's update of container ", failed.container_id(), " failed"));
    }
    return absl::OkStatus();
  }

  std::shared_ptr<PluginRegistry> registry() {
    absl::MutexLock lock(&mu_);
    return registry_;
  }

  EventLoop& loop_;
  PodManagerImpl* pods_ = nullptr;  // set before a plugin can connect
  absl::Mutex mu_;                  // a leaf
  std::shared_ptr<PluginRegistry> registry_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<PluginListener> listener_;
};

}  // namespace

std::unique_ptr<NriHooks> NriHooks::Create(EventLoop& loop, PluginRegistryOptions options) {
  return std::make_unique<Hooks>(loop, std::move(options));
}

}  // namespace podvisor
