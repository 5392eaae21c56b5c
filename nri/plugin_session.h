// From a plugin's connection to its end: registration, configuration, synchronization, then what it asks for by itself.
#ifndef PODVISOR_NRI_PLUGIN_SESSION_H_
#define PODVISOR_NRI_PLUGIN_SESSION_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nri/plugin.h"
#include "nri/registry.h"

namespace podvisor {

// Has a thread, for it waits for the plugin. Thread-safe.
class PluginSession {
 public:
  // Whose plugin it becomes. Outlives the session's Stop().
  class Home {
   public:
    virtual ~Home() = default;
    // Synchronizes the plugin and lists it; `updates` are what it asks for then.
    virtual absl::Status Join(const std::shared_ptr<Plugin>& plugin,
                              std::vector<nri_api::ContainerUpdate>* updates) = 0;
    virtual void Leave(const std::shared_ptr<Plugin>& plugin) = 0;
    // From the session's own thread, last: Stop() is due.
    virtual void Ended(PluginSession* session) = 0;
    virtual PluginRuntime& runtime() = 0;
  };

  static std::shared_ptr<PluginSession> Start(EventLoop& loop, UniqueFd socket, const PluginRegistryOptions& options,
                                              Home& home);
  virtual ~PluginSession() = default;
  // Closes the connection and waits for the thread; not from it.
  virtual void Stop() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_PLUGIN_SESSION_H_
