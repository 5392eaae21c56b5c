// What plugin bridge makes: the bridge, a veth pair on it, addresses and routes of the pod's end.
#ifndef PODVISOR_NETNS_BUILTIN_BRIDGE_LINKS_H_
#define PODVISOR_NETNS_BUILTIN_BRIDGE_LINKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "netns/builtin/ip.h"
#include "netns/builtin/ipam_config.h"
#include "netns/netlink.h"

namespace podvisor {

enum class Promiscuity { kOff, kOn };

// Makes the bridge if it is missing, up. An existing one keeps MTU and MAC. kFailedPrecondition if the name belongs to
// a link of another kind.
absl::StatusOr<LinkInfo> EnsureBridge(Netlink& netlink, const std::string& name, uint32_t mtu, Promiscuity promiscuity);

enum class ForceAddress { kNo, kYes };

// Gives the bridge an address. One of an overlapping subnet is in the way: kFailedPrecondition, or it is removed.
absl::Status EnsureBridgeAddress(Netlink& netlink, const LinkInfo& bridge, const IpNetwork& address,
                                 ForceAddress force);

struct VethSpec {
  std::string host_name, pod_name;
  std::string host_mac, pod_mac;
  uint32_t mtu = 0;  // 0: the kernel's default
  int bridge_index = 0;
  bool hairpin = false;  // a frame may leave by the port it came from
  int pod_netns = -1;    // a descriptor
};

// Both ends at once, each where it belongs; the host's is up, on the bridge. kAlreadyExists if one name is taken.
absl::Status AddVeth(Netlink& netlink, const VethSpec& spec);

// In the namespace of the calling thread: brings the link up with these addresses (not checked for duplicates) and
// routes. A route without a gateway goes by `gateways`' of its family, if there is one.
absl::Status ConfigurePodLink(Netlink& netlink, const std::string& name, const std::vector<IpNetwork>& addresses,
                              const std::vector<IpAddress>& gateways, const std::vector<IpRoute>& routes);

// The link by which the host reaches `address`.
absl::StatusOr<std::string> LinkTowards(Netlink& netlink, const IpAddress& address);

// Writes a setting below /proc/sys/net in the calling thread's namespace, if it has another value. Success where the
// kernel does not have it.
absl::Status SetNetSetting(const std::string& name, const std::string& value);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_BRIDGE_LINKS_H_
