// Running one CNI plugin once.
#ifndef PODVISOR_NETNS_CNI_PLUGIN_H_
#define PODVISOR_NETNS_CNI_PLUGIN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace podvisor {

// What every plugin of a network is told by its environment (SPEC.md, section 2).
struct CniEnvironment {
  std::string container_id;
  std::string netns;  // empty for a DEL after the namespace has gone
  std::string interface;
  std::string args;  // "KEY=value;..."
  std::vector<std::string> bin_dirs;
};

// The path of the program for `type`. kFailedPrecondition names the folders that were searched.
absl::StatusOr<std::string> FindCniPlugin(const std::string& type, const std::vector<std::string>& bin_dirs);

// Runs the plugin and returns what it printed. `command` is "ADD", "DEL", "CHECK"; `config` its stdin. Errors name the
// plugin and carry what it said; codes as in CodeOfCniError(), kDeadlineExceeded if it was killed at the deadline. A
// DEL that fails with "container unknown" is a success.
absl::StatusOr<std::string> RunCniPlugin(const std::string& type, const std::string& command,
                                         const CniEnvironment& environment, const std::string& config,
                                         absl::Time deadline);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_PLUGIN_H_
