// The built-in network: bridge (with host-local), portmap and loopback, done by the daemon.
#ifndef PODVISOR_NETNS_BUILTIN_BUILTIN_PLUGINS_H_
#define PODVISOR_NETNS_BUILTIN_BUILTIN_PLUGINS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/state_db.h"
#include "netns/background.h"
#include "netns/cni_builtin.h"

namespace podvisor {

// Whether DEL is still owed to a container's interface.
using IsOwed = std::function<bool(const std::string& container, const std::string& interface)>;

// `owner` is a path or another text that is this daemon's own: the firewall's tables are named after it. What pods got
// from an earlier process is taken up again: the firewall is made to say what the state database says, addresses and
// links of pods for which nothing is owed are given back in the background. `db` and `background` outlive it, and it
// outlives what is queued in `background`. The calling thread's network namespace is the host's.
absl::StatusOr<std::unique_ptr<CniBuiltins>> OpenCniBuiltins(StateDb& db, Background& background,
                                                             const std::string& owner, const IsOwed& is_owed);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_BUILTIN_PLUGINS_H_
