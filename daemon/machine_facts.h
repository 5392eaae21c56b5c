// What the daemon has found out about its machine.
#ifndef PODVISOR_DAEMON_MACHINE_FACTS_H_
#define PODVISOR_DAEMON_MACHINE_FACTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/config.h"
#include "podmanager/runtime_handler.h"

namespace podvisor {

// As JSON, for CRI's verbose status: kernel, and each handler's hypervisor with its capabilities.
std::string MachineFactsJson(const std::map<std::string, RuntimeHandler>& handlers);

// What the configuration names and the machine lacks, in words: for --check-config. Empty if all is there.
std::vector<std::string> MissingOnThisMachine(const Config& config);

// Files without which the daemon does not start at all: streaming's certificate and key. For --check-config, and at the
// start before anything is touched. Any thread.
absl::Status CheckNeededFiles(const Config& config);

}  // namespace podvisor

#endif  // PODVISOR_DAEMON_MACHINE_FACTS_H_
