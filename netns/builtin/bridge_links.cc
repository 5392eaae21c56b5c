#include "netns/builtin/bridge_links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

using LinkPtr = std::unique_ptr<rtnl_link, void (*)(rtnl_link*)>;
using AddrPtr = std::unique_ptr<nl_addr, void (*)(nl_addr*)>;
using MessagePtr = std::unique_ptr<nl_msg, void (*)(nl_msg*)>;

AddrPtr ToNl(const IpAddress& address) {
  return AddrPtr(nl_addr_build(address.family, address.bytes.data(), address.size()), nl_addr_put);
}

AddrPtr ToNl(const IpNetwork& network) {
  AddrPtr address = ToNl(network.address);
  nl_addr_set_prefixlen(address.get(), network.prefix);
  return address;
}

void SetMac(rtnl_link* link, const std::string& mac) {
  nl_addr* address = nullptr;
  if (mac.empty() || nl_addr_parse(mac.c_str(), AF_LLC, &address) < 0) return;
  rtnl_link_set_addr(link, address);
  nl_addr_put(address);
}

// IPv6 lets an address be used only after a second of listening for duplicates: there are none in a range of ours.
absl::Status AddAddress(Netlink& netlink, int link_index, const IpNetwork& network) {
  const std::unique_ptr<rtnl_addr, void (*)(rtnl_addr*)> address(rtnl_addr_alloc(), rtnl_addr_put);
  rtnl_addr_set_ifindex(address.get(), link_index);
  rtnl_addr_set_local(address.get(), ToNl(network).get());
  if (network.address.family == AF_INET6) {
    rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
  } else if (network.prefix < 31) {
    rtnl_addr_set_broadcast(address.get(), ToNl(network.Last()).get());
  }
  const int result = rtnl_addr_add(netlink.get(), address.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (result < 0 && result != -NLE_EXIST)
    return NetlinkStatus(result, absl::StrCat("add address ", network.ToString()));
  return absl::OkStatus();
}

absl::Status RemoveAddress(Netlink& netlink, int link_index, const IpNetwork& network) {
  const std::unique_ptr<rtnl_addr, void (*)(rtnl_addr*)> address(rtnl_addr_alloc(), rtnl_addr_put);
  rtnl_addr_set_ifindex(address.get(), link_index);
  rtnl_addr_set_local(address.get(), ToNl(network).get());
  const int result = rtnl_addr_delete(netlink.get(), address.get(), 0);
  if (result < 0) return NetlinkStatus(result, absl::StrCat("remove address ", network.ToString()));
  return absl::OkStatus();
}

absl::Status AddRoute(Netlink& netlink, int link_index, const IpNetwork& destination,
                      const std::optional<IpAddress>& gateway) {
  const std::unique_ptr<rtnl_route, void (*)(rtnl_route*)> route(rtnl_route_alloc(), rtnl_route_put);
  rtnl_route_set_dst(route.get(), ToNl({destination.First(), destination.prefix}).get());
  rtnl_route_set_protocol(route.get(), RTPROT_BOOT);
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, link_index);
  if (gateway.has_value()) rtnl_route_nh_set_gateway(hop, ToNl(*gateway).get());
  rtnl_route_add_nexthop(route.get(), hop);
  rtnl_route_set_scope(
      route.get(), gateway.has_value() || destination.address.family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  const int result = rtnl_route_add(netlink.get(), route.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (result < 0 && result != -NLE_EXIST)
    return NetlinkStatus(result, absl::StrCat("add route to ", destination.ToString(),
                                              gateway.has_value() ? " via " + gateway->ToString() : std::string()));
  return absl::OkStatus();
}

// libnl has no call for a bridge port's settings.
absl::Status SetHairpin(Netlink& netlink, int link_index) {
  const MessagePtr message(nlmsg_alloc_simple(RTM_SETLINK, NLM_F_REQUEST), nlmsg_free);
  ifinfomsg info = {};
  info.ifi_family = AF_BRIDGE;
  info.ifi_index = link_index;
  nlmsg_append(message.get(), &info, sizeof info, NLMSG_ALIGNTO);
  nlattr* port = nla_nest_start(message.get(), IFLA_PROTINFO | NLA_F_NESTED);
  nla_put_u8(message.get(), IFLA_BRPORT_MODE, 1);
  nla_nest_end(message.get(), port);
  nl_complete_msg(netlink.get(), message.get());
  int result = nl_send(netlink.get(), message.get());
  if (result >= 0) result = nl_wait_for_ack(netlink.get());
  if (result < 0) return NetlinkStatus(result, "set hairpin mode");
  return absl::OkStatus();
}

}  // namespace

absl::Status SetNetSetting(const std::string& name, const std::string& value) {
  const std::string path = absl::StrCat("/proc/sys/net/", name);
  const absl::StatusOr<std::string> present = ReadFile(path, 64);
  if (absl::IsNotFound(present.status())) return absl::OkStatus();
  if (present.ok() && absl::StripAsciiWhitespace(*present) == value) return absl::OkStatus();
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.ok() || ::write(file.get(), value.data(), value.size()) < 0)
    return ErrnoStatus(errno, absl::StrCat("set ", path, " to ", value));
  return absl::OkStatus();
}

absl::StatusOr<LinkInfo> EnsureBridge(Netlink& netlink, const std::string& name, uint32_t mtu,
                                      Promiscuity promiscuity) {
  absl::StatusOr<LinkInfo> found = netlink.FindLink(name);
  if (absl::IsNotFound(found.status())) {
    const LinkPtr link(rtnl_link_bridge_alloc(), rtnl_link_put);
    rtnl_link_set_name(link.get(), name.c_str());
    if (mtu != 0) rtnl_link_set_mtu(link.get(), mtu);
    const int result = rtnl_link_add(netlink.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL);
    if (result < 0 && result != -NLE_EXIST) return NetlinkStatus(result, absl::StrCat("add bridge ", name));
    // Whoever comes second may see it half made: all of these may be done twice.
    ASSIGN_OR_RETURN(const LinkInfo made, netlink.FindLink(name));
    const LinkPtr wanted(rtnl_link_alloc(), rtnl_link_put);
    // A MAC that was set stays; else it would be the lowest of the ports', and change as they come and go.
    SetMac(wanted.get(), made.mac);
    const LinkPtr same(rtnl_link_alloc(), rtnl_link_put);
    rtnl_link_set_ifindex(same.get(), made.index);
    if (const int error = rtnl_link_change(netlink.get(), same.get(), wanted.get(), 0); error < 0)
      return NetlinkStatus(error, absl::StrCat("keep the MAC of bridge ", name));
    RETURN_IF_ERROR(SetNetSetting(absl::StrCat("ipv6/conf/", name, "/accept_ra"), "0"));
    RETURN_IF_ERROR(netlink.SetLinkUp(name));
    found = netlink.FindLink(name);
  }
  RETURN_IF_ERROR(found.status());
  if (found->kind != "bridge")
    return absl::FailedPreconditionError(absl::StrCat("link ", name, " is there and no bridge but ",
                                                      found->kind.empty() ? "a physical one" : found->kind));
  if (promiscuity == Promiscuity::kOn) {
    const LinkPtr wanted(rtnl_link_alloc(), rtnl_link_put);
    rtnl_link_set_flags(wanted.get(), IFF_PROMISC | IFF_UP);
    const LinkPtr same(rtnl_link_alloc(), rtnl_link_put);
    rtnl_link_set_ifindex(same.get(), found->index);
    if (const int error = rtnl_link_change(netlink.get(), same.get(), wanted.get(), 0); error < 0)
      return NetlinkStatus(error, absl::StrCat("set promiscuous mode of bridge ", name));
  }
  return found;
}

absl::Status EnsureBridgeAddress(Netlink& netlink, const LinkInfo& bridge, const IpNetwork& address,
                                 ForceAddress force) {
  ASSIGN_OR_RETURN(const std::vector<AddressInfo> present, netlink.Addresses(bridge.index));
  for (const AddressInfo& info : present) {
    const absl::StatusOr<IpNetwork> other = ParseIpNetwork(info.address);
    if (!other.ok()) continue;
    if (*other == address) return absl::OkStatus();
    if (!other->Contains(address.address) && !address.Contains(other->address)) continue;
    if (force == ForceAddress::kNo)
      return absl::FailedPreconditionError(absl::StrCat("bridge ", bridge.name, " has address ", other->ToString(),
                                                        ", which is in the way of ", address.ToString(),
                                                        ": remove it, or set \"forceAddress\""));
    RETURN_IF_ERROR(RemoveAddress(netlink, bridge.index, *other), "bridge ", bridge.name);
  }
  return Annotate(AddAddress(netlink, bridge.index, address), "bridge ", bridge.name);
}

absl::Status AddVeth(Netlink& netlink, const VethSpec& spec) {
  const LinkPtr host(rtnl_link_veth_alloc(), rtnl_link_put);
  rtnl_link_set_name(host.get(), spec.host_name.c_str());
  SetMac(host.get(), spec.host_mac);
  rtnl_link_set_master(host.get(), spec.bridge_index);
  rtnl_link_set_flags(host.get(), IFF_UP);
  const LinkPtr pod(rtnl_link_veth_get_peer(host.get()), rtnl_link_put);
  rtnl_link_set_name(pod.get(), spec.pod_name.c_str());
  SetMac(pod.get(), spec.pod_mac);
  rtnl_link_set_ns_fd(pod.get(), spec.pod_netns);
  if (spec.mtu != 0)
    for (rtnl_link* end : {host.get(), pod.get()}) rtnl_link_set_mtu(end, spec.mtu);
  const int result = rtnl_link_add(netlink.get(), host.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (result < 0) return NetlinkStatus(result, absl::StrCat("add veth pair ", spec.host_name, " and ", spec.pod_name));
  if (!spec.hairpin) return absl::OkStatus();
  ASSIGN_OR_RETURN(const LinkInfo made, netlink.FindLink(spec.host_name));
  return Annotate(SetHairpin(netlink, made.index), "link ", spec.host_name);
}

absl::Status ConfigurePodLink(Netlink& netlink, const std::string& name, const std::vector<IpNetwork>& addresses,
                              const std::vector<IpAddress>& gateways, const std::vector<IpRoute>& routes) {
  ASSIGN_OR_RETURN(const LinkInfo link, netlink.FindLink(name));
  for (const IpNetwork& address : addresses)
    if (address.address.family == AF_INET6)
      RETURN_IF_ERROR(SetNetSetting(absl::StrCat("ipv6/conf/", name, "/disable_ipv6"), "0"));
  RETURN_IF_ERROR(netlink.SetLinkUp(name));
  for (const IpNetwork& address : addresses) RETURN_IF_ERROR(AddAddress(netlink, link.index, address), "link ", name);
  for (const IpRoute& route : routes) {
    std::optional<IpAddress> gateway = route.gateway;
    for (auto entry = gateways.begin(); !gateway.has_value() && entry != gateways.end(); ++entry)
      if (entry->family == route.destination.address.family) gateway = *entry;
    RETURN_IF_ERROR(AddRoute(netlink, link.index, route.destination, gateway), "link ", name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> LinkTowards(Netlink& netlink, const IpAddress& address) {
  rtnl_route* raw = nullptr;
  const int result = rtnl_route_lookup(netlink.get(), ToNl(address).get(), &raw);
  if (result < 0) return NetlinkStatus(result, absl::StrCat("find the route to ", address.ToString()));
  const std::unique_ptr<rtnl_route, void (*)(rtnl_route*)> route(raw, rtnl_route_put);
  if (rtnl_route_get_nnexthops(route.get()) == 0)
    return absl::NotFoundError(absl::StrCat("no route to ", address.ToString()));
  const int index = rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route.get(), 0));
  rtnl_link* link = nullptr;
  if (const int error = rtnl_link_get_kernel(netlink.get(), index, nullptr, &link); error < 0)
    return NetlinkStatus(error, absl::StrCat("find the link to ", address.ToString()));
  const LinkPtr holder(link, rtnl_link_put);
  return std::string(rtnl_link_get_name(link));
}

}  // namespace podvisor
