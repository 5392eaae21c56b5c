// Plugins that the daemon does itself instead of running their programs.
#ifndef PODVISOR_NETNS_CNI_BUILTIN_H_
#define PODVISOR_NETNS_CNI_BUILTIN_H_

#include <string>

#include "absl/status/statusor.h"
#include "netns/cni_config.h"
#include "netns/cni_plugin.h"

namespace podvisor {

class CniBuiltins {
 public:
  virtual ~CniBuiltins() = default;

  // Whether it does this one. False: its program is run.
  virtual bool Has(const CniPluginConfig& plugin) const = 0;

  // As RunCniPlugin(): `config` is what the program would read, the result what it would print. DEL is idempotent.
  virtual absl::StatusOr<std::string> Run(const std::string& type, const std::string& command,
                                          const CniEnvironment& environment, const std::string& config) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_BUILTIN_H_
