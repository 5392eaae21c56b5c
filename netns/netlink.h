// The kernel's links, addresses, routes and neighbours, by netlink (libnl).
#ifndef PODVISOR_NETNS_NETLINK_H_
#define PODVISOR_NETNS_NETLINK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct nl_sock;

namespace podvisor {

struct LinkInfo {
  int index = 0;
  std::string name;
  std::string mac;   // "0a:58:0a:01:00:05"; empty where the link has none
  std::string kind;  // "veth", "tun", "macvtap"; empty for physical ones
  uint32_t mtu = 0;
};

struct AddressInfo {
  std::string address;  // with prefix length: "10.1.0.5/16"
  uint32_t family = 0;  // AF_INET, AF_INET6
  uint32_t scope = 0;   // RT_SCOPE_*
  uint32_t flags = 0;   // IFA_F_*
};

struct RouteInfo {
  std::string destination;  // "0.0.0.0/0" and "::/0" for default routes
  std::string gateway;      // empty: on link
  std::string source;
  uint32_t scope = 0;     // RT_SCOPE_*
  uint32_t family = 0;    // AF_INET, AF_INET6
  uint32_t protocol = 0;  // RTPROT_*
  uint32_t priority = 0;
  bool gateway_on_link = false;  // RTNH_F_ONLINK: the gateway needs no route that covers it
};

struct NeighborInfo {
  std::string address;
  std::string mac;
  uint32_t state = 0;  // NUD_*
};

// A netlink socket. It speaks for the network namespace of the thread that opened it, for ever. Not thread-safe.
class Netlink {
 public:
  static absl::StatusOr<Netlink> Open();

  absl::StatusOr<std::vector<LinkInfo>> Links();
  absl::StatusOr<LinkInfo> FindLink(const std::string& name);  // kNotFound if there is none
  absl::Status SetLinkUp(const std::string& name);
  absl::Status SetMtu(const std::string& name, uint32_t mtu);
  // Success if there is none. kUnimplemented for links that can't be deleted: physical ones, lo.
  absl::Status DeleteLink(const std::string& name);
  // Puts a macvtap in passthru mode on the link with index `lower`. Success if it is there.
  absl::Status AddMacvtap(const std::string& name, int lower);

  absl::StatusOr<std::vector<AddressInfo>> Addresses(int link_index);
  // Unicast routes of the main table that leave by this link, in the kernel's order.
  absl::StatusOr<std::vector<RouteInfo>> Routes(int link_index);
  absl::StatusOr<std::vector<NeighborInfo>> Neighbors(int link_index);

  nl_sock* get() const { return socket_.get(); }

 private:
  explicit Netlink(nl_sock* socket) : socket_(socket, Free) {}
  static void Free(nl_sock* socket);

  std::unique_ptr<nl_sock, void (*)(nl_sock*)> socket_;
};

// A negative result of libnl as a status: "CALL: Object exists".
absl::Status NetlinkStatus(int result, const std::string& call);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_NETLINK_H_
