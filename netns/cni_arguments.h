// What a sandbox tells CNI plugins about itself.
#ifndef PODVISOR_NETNS_CNI_ARGUMENTS_H_
#define PODVISOR_NETNS_CNI_ARGUMENTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "netns/pod_network.h"

namespace podvisor {

// CNI_ARGS with the names that Kubernetes' network add-ons read. kInvalidArgument for a value with ';'.
absl::StatusOr<std::string> BuildCniArgs(const NetworkRequest& request);

// A JSON object: capability → value (https://github.com/containernetworking/cni/blob/main/CONVENTIONS.md). Only those
// that the request has something to say about. `pod_cidr` may hold several networks, separated by commas.
std::string BuildCapabilityArgs(const NetworkRequest& request, const std::string& pod_cidr);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_ARGUMENTS_H_
