// podvisord with all its parts.
#ifndef PODVISOR_DAEMON_DAEMON_H_
#define PODVISOR_DAEMON_DAEMON_H_

#include <memory>

#include "absl/status/statusor.h"
#include "daemon/config.h"

namespace podvisor {

// Serves CRI from Start() to Stop(). VMs are not its own: they run on when it ends, however it ends.
class Daemon {
 public:
  // Makes folders, takes the locks, recovers what an earlier daemon left, and listens. Errors say what to do.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Config& config);
  virtual ~Daemon() = default;

  // Takes no new calls and ends those under way within the configured drain time. Once; then destroy it.
  virtual void Stop() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_DAEMON_H_
