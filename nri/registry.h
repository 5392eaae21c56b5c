// All plugins: they register here, and everything that happens to pods is told to them in their order.
#ifndef PODVISOR_NRI_REGISTRY_H_
#define PODVISOR_NRI_REGISTRY_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nri/api.h"

namespace podvisor {

struct PluginRegistryOptions {
  std::string runtime_name = "podvisor";
  std::string runtime_version;
  // From a connection to its registration.
  absl::Duration registration_timeout = absl::Seconds(5);
  // Of one call. Who needs longer is closed, and pods go on without it.
  absl::Duration request_timeout = absl::Seconds(10);
};

// What plugins may learn from, and ask of, whoever runs the pods. Called from the registry's threads, without a lock.
class PluginRuntime {
 public:
  struct Objects {
    std::vector<nri_api::PodSandbox> pods;
    std::vector<nri_api::Container> containers;
  };
  virtual ~PluginRuntime() = default;
  // Every pod and container that is visible to clients.
  virtual Objects List() = 0;
  // Returns those that failed.
  virtual std::vector<nri_api::ContainerUpdate> Update(const std::vector<nri_api::ContainerUpdate>& updates) = 0;
  // Does not wait for the end.
  virtual void Evict(const nri_api::ContainerEviction& eviction) = 0;
};

// Thread-safe. One event at a time goes to the plugins, one after the other by their numbers; a plugin that is being
// synchronized holds the others up for as long, so that it misses nothing. Calls block up to
// (plugins + 1) * request_timeout, once: who was late is closed.
//
// An error is a plugin's own and says its name; the plugins after it were not asked.
class PluginRegistry {
 public:
  // `loop` and `runtime` outlive it. `runtime` is used once a plugin has connected.
  static std::unique_ptr<PluginRegistry> Create(EventLoop& loop, PluginRegistryOptions options, PluginRuntime& runtime);
  // Tells the plugins (Shutdown), and closes them. Not from one of its own calls.
  virtual ~PluginRegistry() = default;

  // Takes a plugin's connection: it registers, is configured and synchronized in a thread of its own. More than 64 at
  // once are closed.
  virtual void Connect(UniqueFd socket) = 0;
  // Names of the plugins that are registered and synchronized, in their order: "10-logger".
  virtual std::vector<std::string> Names() = 0;

  virtual absl::Status RunPodSandbox(const nri_api::PodSandbox& pod) = 0;
  virtual absl::Status UpdatePodSandbox(const nri_api::UpdatePodSandboxRequest& request) = 0;
  virtual absl::Status PostUpdatePodSandbox(const nri_api::PodSandbox& pod) = 0;
  virtual absl::Status StopPodSandbox(const nri_api::PodSandbox& pod) = 0;
  virtual absl::Status RemovePodSandbox(const nri_api::PodSandbox& pod) = 0;

  // What the plugins together want, conflicts refused and validated by those plugins that do so.
  struct Wishes {
    nri_api::ContainerAdjustment adjustment;
    std::vector<nri_api::ContainerUpdate> updates;  // of other containers
    std::vector<nri_api::ContainerEviction> evictions;
  };
  virtual absl::StatusOr<Wishes> CreateContainer(const nri_api::PodSandbox& pod,
                                                 const nri_api::Container& container) = 0;
  // The adjustment has resources only.
  virtual absl::StatusOr<Wishes> UpdateContainer(const nri_api::PodSandbox& pod, const nri_api::Container& container,
                                                 const nri_api::LinuxResources& update) = 0;
  // Updates of others; errors of single plugins do not keep it from the next.
  virtual Wishes StopContainer(const nri_api::PodSandbox& pod, const nri_api::Container& container) = 0;

  // POST_CREATE_CONTAINER, START_CONTAINER, POST_START_CONTAINER, POST_UPDATE_CONTAINER, REMOVE_CONTAINER.
  virtual absl::Status ContainerEvent(nri_api::Event event, const nri_api::PodSandbox& pod,
                                      const nri_api::Container& container) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_REGISTRY_H_
