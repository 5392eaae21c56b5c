#include "nri/registry.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "nri/adjustments.h"
#include "nri/plugin.h"
#include "nri/plugin_session.h"

namespace podvisor {

namespace {

using nri_api::Container;
using nri_api::ContainerUpdate;
using nri_api::Event;
using nri_api::PodSandbox;
using Plugins = std::vector<std::shared_ptr<Plugin>>;

constexpr size_t kMaxSessions = 64;
constexpr absl::Duration kShutdownTimeout = absl::Seconds(1);

template <typename Request>
Request PodRequest(const PodSandbox& pod) {
  Request request;
  *request.mutable_pod() = pod;
  return request;
}

template <typename Request>
Request ContainerRequest(const PodSandbox& pod, const Container& container) {
  Request request = PodRequest<Request>(pod);
  *request.mutable_container() = container;
  return request;
}

nri_api::StateChangeEvent Change(Event event, const PodSandbox& pod, const Container* container = nullptr) {
  nri_api::StateChangeEvent change;
  change.set_event(event);
  *change.mutable_pod() = pod;
  if (container != nullptr) *change.mutable_container() = *container;
  return change;
}

class Registry final : public PluginRegistry, public PluginSession::Home {
 public:
  Registry(EventLoop& loop, PluginRegistryOptions options, PluginRuntime& runtime)
      : loop_(loop), options_(std::move(options)), runtime_(runtime) {}

  ~Registry() override {
    std::set<std::shared_ptr<PluginSession>> sessions;
    Plugins plugins;
    {
      absl::MutexLock lock(&mu_);
      stopping_ = true;
      sessions.swap(sessions_);
      plugins = plugins_;
    }
    for (const auto& plugin : plugins) plugin->Shutdown(std::min(kShutdownTimeout, options_.request_timeout));
    for (const auto& session : sessions) session->Stop();
    ReapEnded();
  }

  void Connect(UniqueFd socket) override {
    ReapEnded();
    absl::MutexLock lock(&mu_);
    if (stopping_ || sessions_.size() >= kMaxSessions) {
      spdlog::warn("NRI: a plugin's connection is refused: {} are open", sessions_.size());
      return;
    }
    sessions_.insert(PluginSession::Start(loop_, std::move(socket), options_, *this));
  }

  std::vector<std::string> Names() override {
    absl::MutexLock lock(&mu_);
    std::vector<std::string> names;
    for (const auto& plugin : plugins_) names.push_back(plugin->name());
    return names;
  }

  absl::Status RunPodSandbox(const PodSandbox& pod) override {
    EventTurn turn(*this, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { objects_.pods[pod.id()] = pod; });
    return ToAll(turn, "RunPodSandbox", PodRequest<nri_api::RunPodSandboxRequest>(pod),
                 Change(nri_api::RUN_POD_SANDBOX, pod));
  }

  absl::Status UpdatePodSandbox(const nri_api::UpdatePodSandboxRequest& request) override {
    EventTurn turn(*this);
    for (const auto& plugin : turn.plugins()) {
      RETURN_IF_ERROR(plugin->Ask(nri_api::UPDATE_POD_SANDBOX, "UpdatePodSandbox", request, nullptr));
    }
    return absl::OkStatus();
  }

  absl::Status PostUpdatePodSandbox(const PodSandbox& pod) override {
    EventTurn turn(*this);
    return ToAll(turn, "PostUpdatePodSandbox", PodRequest<nri_api::PostUpdatePodSandboxRequest>(pod),
                 Change(nri_api::POST_UPDATE_POD_SANDBOX, pod));
  }

  absl::Status StopPodSandbox(const PodSandbox& pod) override {
    EventTurn turn(*this);
    return ToAll(turn, "StopPodSandbox", PodRequest<nri_api::StopPodSandboxRequest>(pod),
                 Change(nri_api::STOP_POD_SANDBOX, pod));
  }

  absl::Status RemovePodSandbox(const PodSandbox& pod) override {
    EventTurn turn(*this, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { objects_.pods.erase(pod.id()); });
    return ToAll(turn, "RemovePodSandbox", PodRequest<nri_api::RemovePodSandboxRequest>(pod),
                 Change(nri_api::REMOVE_POD_SANDBOX, pod));
  }

  absl::StatusOr<Wishes> CreateContainer(const PodSandbox& pod, const Container& container) override {
    EventTurn turn(*this,
                   [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { objects_.containers[container.id()] = container; });
    Adjustments adjustments(container);
    Wishes wishes;
    for (const auto& plugin : turn.plugins()) {
      nri_api::CreateContainerResponse response;
      RETURN_IF_ERROR(plugin->Ask(nri_api::CREATE_CONTAINER, "CreateContainer",
                                  ContainerRequest<nri_api::CreateContainerRequest>(pod, adjustments.container()),
                                  &response));
      RETURN_IF_ERROR(adjustments.Add(plugin->name(), response.adjust()));
      RETURN_IF_ERROR(adjustments.AddUpdates(plugin->name(), response.update()));
      wishes.evictions.insert(wishes.evictions.end(), response.evict().begin(), response.evict().end());
    }
    wishes.adjustment = adjustments.adjustment();
    wishes.updates = adjustments.updates();
    RETURN_IF_ERROR(Validate(turn, pod, container, wishes, adjustments.owners()));
    Remember(adjustments.container());
    return wishes;
  }

  absl::StatusOr<Wishes> UpdateContainer(const PodSandbox& pod, const Container& container,
                                         const nri_api::LinuxResources& update) override {
    EventTurn turn(*this);
    Adjustments adjustments(container);
    Wishes wishes;
    for (const auto& plugin : turn.plugins()) {
      auto request = ContainerRequest<nri_api::UpdateContainerRequest>(pod, container);
      *request.mutable_linux_resources() = update;
      request.mutable_linux_resources()->MergeFrom(adjustments.adjustment().linux().resources());
      nri_api::UpdateContainerResponse response;
      RETURN_IF_ERROR(plugin->Ask(nri_api::UPDATE_CONTAINER, "UpdateContainer", request, &response));
      RETURN_IF_ERROR(adjustments.AddUpdates(plugin->name(), response.update()));
      wishes.evictions.insert(wishes.evictions.end(), response.evict().begin(), response.evict().end());
    }
    wishes.adjustment = adjustments.adjustment();
    wishes.updates = adjustments.updates();
    return wishes;
  }

  Wishes StopContainer(const PodSandbox& pod, const Container& container) override {
    EventTurn turn(*this);
    Adjustments adjustments(container);
    for (const auto& plugin : turn.plugins()) {
      nri_api::StopContainerResponse response;
      absl::Status status = plugin->Ask(nri_api::STOP_CONTAINER, "StopContainer",
                                        ContainerRequest<nri_api::StopContainerRequest>(pod, container), &response);
      if (status.ok()) status = adjustments.AddUpdates(plugin->name(), response.update());
      if (!status.ok()) spdlog::warn("container {}: {}", container.id(), status.ToString());
    }
    Wishes wishes;
    wishes.updates = adjustments.updates();
    return wishes;
  }

  absl::Status ContainerEvent(Event event, const PodSandbox& pod, const Container& container) override {
    EventTurn turn(*this, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      if (event == nri_api::REMOVE_CONTAINER) objects_.containers.erase(container.id());
    });
    const nri_api::StateChangeEvent change = Change(event, pod, &container);
    switch (event) {
      case nri_api::POST_CREATE_CONTAINER:
        return ToAll(turn, "PostCreateContainer", ContainerRequest<nri_api::PostCreateContainerRequest>(pod, container),
                     change);
      case nri_api::START_CONTAINER:
        return ToAll(turn, "StartContainer", ContainerRequest<nri_api::StartContainerRequest>(pod, container), change);
      case nri_api::POST_START_CONTAINER:
        return ToAll(turn, "PostStartContainer", ContainerRequest<nri_api::PostStartContainerRequest>(pod, container),
                     change);
      case nri_api::POST_UPDATE_CONTAINER:
        return ToAll(turn, "PostUpdateContainer", ContainerRequest<nri_api::PostUpdateContainerRequest>(pod, container),
                     change);
      case nri_api::REMOVE_CONTAINER:
        return ToAll(turn, "RemoveContainer", ContainerRequest<nri_api::RemoveContainerRequest>(pod, container),
                     change);
      default:
        return absl::InvalidArgumentError(absl::StrCat("not a container's event: ", nri_api::Event_Name(event)));
    }
  }

  // PluginSession::Home, from the sessions' threads.

  absl::Status Join(const std::shared_ptr<Plugin>& plugin, std::vector<ContainerUpdate>* updates) override {
    EventTurn turn(*this);
    // What is announced but not visible yet is in `objects_`; of what is visible, the list knows more.
    PluginRuntime::Objects listed = runtime_.List();
    {
      absl::MutexLock lock(&mu_);
      AddMissing(objects_.pods, &listed.pods);
      AddMissing(objects_.containers, &listed.containers);
    }
    RETURN_IF_ERROR(plugin->Synchronize(listed.pods, listed.containers, updates));
    absl::MutexLock lock(&mu_);
    if (stopping_) return absl::UnavailableError("podvisord is shutting down");
    const auto place = std::upper_bound(
        plugins_.begin(), plugins_.end(), plugin,
        [](const std::shared_ptr<Plugin>& a, const std::shared_ptr<Plugin>& b) { return a->index() < b->index(); });
    plugins_.insert(place, plugin);
    return absl::OkStatus();
  }

  void Leave(const std::shared_ptr<Plugin>& plugin) override {
    absl::MutexLock lock(&mu_);
    std::erase(plugins_, plugin);
  }

  void Ended(PluginSession* session) override {
    absl::MutexLock lock(&mu_);
    const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                    [session](const auto& other) { return other.get() == session; });
    if (found == sessions_.end()) return;  // is being stopped
    ended_.push_back(*found);
    sessions_.erase(found);
  }

  PluginRuntime& runtime() override { return runtime_; }

 private:
  // Announced to plugins; nothing says when it becomes visible, so it is kept until it is removed.
  struct Announced {
    std::map<std::string, PodSandbox> pods;
    std::map<std::string, Container> containers;
  };

  // One event, or one synchronization, at a time; without a lock that would be held while a plugin is waited for.
  class EventTurn {
   public:
    explicit EventTurn(Registry& registry) : EventTurn(registry, [] {}) {}
    // `note` is called under the lock, at the event's place in the order.
    template <typename Note>
    EventTurn(Registry& registry, const Note& note) : registry_(registry) {
      absl::MutexLock lock(&registry_.mu_);
      registry_.mu_.Await(absl::Condition(&registry_, &Registry::Idle));
      registry_.busy_ = true;
      plugins_ = registry_.plugins_;
      note();
    }
    ~EventTurn() {
      absl::MutexLock lock(&registry_.mu_);
      registry_.busy_ = false;
    }
    const Plugins& plugins() const { return plugins_; }

   private:
    Registry& registry_;
    Plugins plugins_;
  };

  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !busy_; }

  void Remember(const Container& container) {
    absl::MutexLock lock(&mu_);
    objects_.containers[container.id()] = container;
  }

  template <typename Object>
  static void AddMissing(const std::map<std::string, Object>& announced, std::vector<Object>* listed) {
    std::set<std::string> ids;
    for (const Object& object : *listed) ids.insert(object.id());
    for (const auto& [id, object] : announced) {
      if (ids.count(id) == 0) listed->push_back(object);
    }
  }

  static absl::Status ToAll(const EventTurn& turn, absl::string_view method,
                            const google::protobuf::MessageLite& request, const nri_api::StateChangeEvent& change) {
    for (const auto& plugin : turn.plugins()) RETURN_IF_ERROR(plugin->Tell(method, request, change));
    return absl::OkStatus();
  }

  static absl::Status Validate(const EventTurn& turn, const PodSandbox& pod, const Container& container,
                               const Wishes& wishes, const nri_api::OwningPlugins& owners) {
    auto request = ContainerRequest<nri_api::ValidateContainerAdjustmentRequest>(pod, container);
    *request.mutable_adjust() = wishes.adjustment;
    for (const ContainerUpdate& update : wishes.updates) *request.add_update() = update;
    *request.mutable_owners() = owners;
    for (const auto& plugin : turn.plugins()) {
      nri_api::PluginInstance& instance = *request.add_plugins();
      instance.set_name(plugin->base());
      instance.set_index(plugin->index());
    }
    for (const auto& plugin : turn.plugins()) {
      nri_api::ValidateContainerAdjustmentResponse response;
      RETURN_IF_ERROR(plugin->Ask(nri_api::VALIDATE_CONTAINER_ADJUSTMENT, "ValidateContainerAdjustment", request,
                                  &response, Plugin::IfGone::kIsError));
      if (!response.reject()) continue;
      return absl::PermissionDeniedError(
          absl::StrCat("NRI plugin ", plugin->name(), " rejects the adjustments of container ", container.id(), ": ",
                       response.reason().empty() ? "it gives no reason" : response.reason()));
    }
    return absl::OkStatus();
  }

  // Joins the threads of sessions that are over.
  void ReapEnded() {
    std::vector<std::shared_ptr<PluginSession>> ended;
    {
      absl::MutexLock lock(&mu_);
      ended.swap(ended_);
    }
    for (const auto& session : ended) session->Stop();
  }

  EventLoop& loop_;
  const PluginRegistryOptions options_;
  PluginRuntime& runtime_;

  absl::Mutex mu_;  // a leaf
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Plugins plugins_ ABSL_GUARDED_BY(mu_);  // by index
  Announced objects_ ABSL_GUARDED_BY(mu_);
  std::set<std::shared_ptr<PluginSession>> sessions_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<PluginSession>> ended_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<PluginRegistry> PluginRegistry::Create(EventLoop& loop, PluginRegistryOptions options,
                                                       PluginRuntime& runtime) {
  return std::make_unique<Registry>(loop, std::move(options), runtime);
}

}  // namespace podvisor
