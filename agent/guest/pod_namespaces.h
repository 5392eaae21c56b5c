// What a pod with users of its own has apart from the guest: a user namespace, and the network, ipc and uts namespaces
// that belong to it, so that the pod's root may bind port 80, mount a /sys of its own, and set its host name.
#ifndef PODVISOR_AGENT_GUEST_POD_NAMESPACES_H_
#define PODVISOR_AGENT_GUEST_POD_NAMESPACES_H_

#include "absl/status/status.h"
#include "agent/guest/launch/pod_users.h"
#include "agent/guest/network/network.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

// The agent itself moves to the pod's network, ipc and uts namespaces: all that it sets up and connects to is the
// pod's. It keeps its own user namespace, and with it its rights.
class PodNamespaces {
 public:
  // Nothing for empty mappings; again with the same ones: nothing. kFailedPrecondition for others than before.
  absl::Status Enter(const IdMappings& mappings);
  // The interfaces that are about to be configured come along, from wherever the agent was before. Nothing unless
  // entered.
  absl::Status TakeInterfaces(const google::protobuf::RepeatedPtrField<types::Interface>& interfaces);
  // The agent goes back, with the interfaces; what else is in the namespaces goes with them.
  absl::Status Leave();

  const PodUsers& users() const { return users_; }

 private:
  UniqueFd user_;
  UniqueFd network_;
  // Where the agent was.
  UniqueFd home_network_;
  UniqueFd home_uts_;
  PodUsers users_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_POD_NAMESPACES_H_
