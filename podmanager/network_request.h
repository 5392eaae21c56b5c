// A pod's configuration as the network wants it.
#ifndef PODVISOR_PODMANAGER_NETWORK_REQUEST_H_
#define PODVISOR_PODMANAGER_NETWORK_REQUEST_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "netns/pod_network.h"
#include "podmanager/config.pb.h"

namespace podvisor {

// Only port mappings with a host port are passed on. Bandwidth is read from the annotations
// kubernetes.io/ingress-bandwidth and kubernetes.io/egress-bandwidth; one that can't be read is left out here, since
// ValidateSandboxConfig() has refused it: a Teardown() must never fail for it.
NetworkRequest MakeNetworkRequest(const std::string& sandbox_id, const SandboxConfig& config,
                                  const std::string& netns_path);

// A Kubernetes quantity of bits per second: "10M", "1Gi", "250k", "1e6", "1000000". kInvalidArgument unless it is
// between 1k and 1P, the range that kubelet and CNI's bandwidth plugin accept.
absl::StatusOr<uint64_t> ParseBandwidth(const std::string& quantity);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_NETWORK_REQUEST_H_
