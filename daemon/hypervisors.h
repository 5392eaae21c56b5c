// The only place that names hypervisor drivers.
#ifndef PODVISOR_DAEMON_HYPERVISORS_H_
#define PODVISOR_DAEMON_HYPERVISORS_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "daemon/config.h"
#include "podmanager/runtime_handler.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// The runtime handlers that the configuration describes, and their drivers: handlers that differ only in what they give
// to a VM share one.
class Hypervisors {
 public:
  // Probes the machine. `loop` outlives the drivers. Errors name the handler and what to do.
  static absl::StatusOr<std::unique_ptr<Hypervisors>> Make(EventLoop& loop, const Config& config);

  ~Hypervisors();

  // By name; "" is the default.
  const std::map<std::string, RuntimeHandler>& handlers() const { return handlers_; }

 private:
  struct Mock;  // the machine that mock VMs run on

  Hypervisors();
  absl::StatusOr<std::unique_ptr<Hypervisor>> MakeDriver(EventLoop& loop, const HypervisorSection& section);
  absl::Status Add(EventLoop& loop, const std::string& name, const HypervisorSection& section,
                   const AgentSection& agent);

  std::unique_ptr<Mock> mock_;                                  // if a handler wants it
  std::map<std::string, std::unique_ptr<Hypervisor>> drivers_;  // by what they are made of
  std::map<std::string, RuntimeHandler> handlers_;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_HYPERVISORS_H_
