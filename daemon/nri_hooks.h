// NRI's plugins as the pods' hooks.
#ifndef PODVISOR_DAEMON_NRI_HOOKS_H_
#define PODVISOR_DAEMON_NRI_HOOKS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "nri/registry.h"
#include "podmanager/hooks.h"
#include "podmanager/pod_manager_impl.h"

namespace podvisor {

// Thread-safe.
class NriHooks : public PodHooks {
 public:
  // Nobody is told of anything before Serve().
  static std::unique_ptr<NriHooks> Create(EventLoop& loop, PluginRegistryOptions options);

  // Lets plugins connect at `socket`, and act on `pods`, which outlives Stop().
  virtual absl::Status Serve(const std::string& socket, PodManagerImpl& pods) = 0;
  // Says good-bye to the plugins; hooks are no-ops from here on. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_NRI_HOOKS_H_
