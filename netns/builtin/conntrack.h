// The kernel's table of connections.
#ifndef PODVISOR_NETNS_BUILTIN_CONNTRACK_H_
#define PODVISOR_NETNS_BUILTIN_CONNTRACK_H_

#include <cstdint>
#include <set>

#include "absl/status/status.h"

namespace podvisor {

// Forgets the UDP "connections" to these ports, both IP versions: one that began before the port led to a pod would
// lead elsewhere for as long as packets keep coming. In the network namespace of the calling thread.
absl::Status ForgetUdpConnections(const std::set<uint16_t>& ports);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_CONNTRACK_H_
