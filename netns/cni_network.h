// ADD and DEL of a network: all its plugins in order, each given the result of the one before.
#ifndef PODVISOR_NETNS_CNI_NETWORK_H_
#define PODVISOR_NETNS_CNI_NETWORK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "netns/cni_builtin.h"
#include "netns/cni_config.h"
#include "netns/cni_plugin.h"

namespace podvisor {

// One container's part in one network.
struct CniAttachment {
  CniNetworkConfig network;
  CniEnvironment environment;
  // A JSON object: capability name → its value. A plugin gets those that it declares, as runtimeConfig.
  std::string capability_args = "{}";
  // The result of ADD, or of the last plugin that succeeded; empty: none.
  std::string result;
  // Does the plugins that it has; the others are programs. None: all are. Outlives the attachment.
  CniBuiltins* builtins = nullptr;
};

struct CniDeadline {
  absl::Duration per_plugin;
  absl::Time all;
};

// Runs ADD of each plugin in order; `attachment.result` is the last result, after an error too. Undoes nothing. Errors
// name network and plugin. What the last plugin prints is checked to be a result.
absl::Status CniAdd(CniAttachment& attachment, CniDeadline deadline);

// Runs DEL of every plugin in reverse, also after one has failed; the error names all that did.
absl::Status CniDel(const CniAttachment& attachment, CniDeadline deadline);

// Runs CHECK of each plugin. Success without running any where the version has none (before 0.4.0) or the list says
// disableCheck.
absl::Status CniCheck(const CniAttachment& attachment, CniDeadline deadline);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_NETWORK_H_
