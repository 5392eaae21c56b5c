#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/guest/network/addresses.h"
#include "agent/guest/network/network.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxNameBytes = 15;  // IFNAMSIZ without the NUL

}  // namespace

absl::StatusOr<Network> Network::Open() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open());
  return Network(std::move(socket));
}

absl::StatusOr<std::vector<Network::Link>> Network::Links() {
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject> objects, socket_.Dump(RTM_GETLINK, AF_UNSPEC, sizeof(ifinfomsg)));
  std::vector<Link> links;
  for (const NetlinkObject& object : objects) {
    const auto info = object.As<ifinfomsg>();
    const std::string* mac = object.Find(IFLA_ADDRESS);
    links.push_back({.index = info.ifi_index,
                     .flags = info.ifi_flags,
                     .name = object.Text(IFLA_IFNAME),
                     .mac = mac == nullptr ? "" : *mac,
                     .mtu = object.Number(IFLA_MTU)});
  }
  return links;
}

absl::StatusOr<Network::Link> Network::FindLink(const types::Interface& interface) {
  ASSIGN_OR_RETURN(const std::vector<Link> links, Links());
  std::string mac;
  if (!interface.hwaddr().empty()) {
    ASSIGN_OR_RETURN(mac, ParseMac(interface.hwaddr()));
  }
  for (const Link& link : links) {
    if (!mac.empty() && link.mac == mac && (link.flags & IFF_LOOPBACK) == 0) return link;
  }
  for (const std::string& name : {interface.device(), interface.name()}) {
    for (const Link& link : links) {
      if (!name.empty() && link.name == name) return link;
    }
  }
  std::vector<Link> candidates;
  std::copy_if(links.begin(), links.end(), std::back_inserter(candidates),
               [](const Link& link) { return (link.flags & IFF_LOOPBACK) == 0; });
  if (candidates.size() == 1) return candidates[0];
  return absl::NotFoundError(absl::StrCat("no interface with MAC address ", interface.hwaddr(), " or name ",
                                          interface.device(), " among ", candidates.size()));
}

absl::Status Network::SetFlags(int index, unsigned flags, unsigned change) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  return socket_.Do(NetlinkMessage(RTM_NEWLINK, NLM_F_ACK, header));
}

absl::Status Network::ConfigureLink(const Link& link, const types::Interface& interface) {
  ifinfomsg header{};
  header.ifi_index = link.index;
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, header);
  bool changed = false;
  if (!interface.hwaddr().empty()) {
    ASSIGN_OR_RETURN(const std::string mac, ParseMac(interface.hwaddr()));
    if (mac != link.mac) {
      message.Add(IFLA_ADDRESS, mac);
      changed = true;
    }
  }
  if (interface.mtu() != 0 && interface.mtu() != link.mtu) {
    message.AddNumber(IFLA_MTU, static_cast<uint32_t>(interface.mtu()));
    changed = true;
  }
  const std::string& name = interface.name();
  if (!name.empty() && name != link.name) {
    if (name.size() > kMaxNameBytes) return absl::InvalidArgumentError(absl::StrCat("interface name ", name));
    // Only what is down can be renamed.
    if ((link.flags & IFF_UP) != 0) RETURN_IF_ERROR(SetFlags(link.index, 0, IFF_UP), "set down");
    message.AddText(IFLA_IFNAME, name);
    changed = true;
  }
  if (changed) RETURN_IF_ERROR(socket_.Do(std::move(message)), "MAC address, MTU or name");
  return absl::OkStatus();
}

absl::Status Network::SetAddresses(int index, const types::Interface& interface) {
  std::vector<IpAddress> wanted;
  for (const types::IPAddress& address : interface.ipaddresses()) {
    ASSIGN_OR_RETURN(IpAddress ip, ParseIpWithMask(address.address(), address.mask()));
    wanted.push_back(std::move(ip));
  }
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject> present, socket_.Dump(RTM_GETADDR, AF_UNSPEC, sizeof(ifaddrmsg)));
  for (const NetlinkObject& object : present) {
    const auto info = object.As<ifaddrmsg>();
    if (static_cast<int>(info.ifa_index) != index || info.ifa_scope == RT_SCOPE_LINK) continue;
    const std::string* local = object.Find(IFA_LOCAL) != nullptr ? object.Find(IFA_LOCAL) : object.Find(IFA_ADDRESS);
    if (local == nullptr) continue;
    const IpAddress ip{.family = info.ifa_family, .bytes = *local, .prefix = info.ifa_prefixlen};
    if (std::erase(wanted, ip) > 0) continue;
    NetlinkMessage remove(RTM_DELADDR, NLM_F_ACK, info);
    remove.Add(IFA_LOCAL, *local);
    RETURN_IF_ERROR(socket_.Do(std::move(remove)), "remove ", FormatIp(ip.family, ip.bytes));
  }
  for (const IpAddress& ip : wanted) {
    ifaddrmsg header{};
    header.ifa_family = ip.family;
    header.ifa_prefixlen = ip.prefix;
    header.ifa_index = static_cast<uint32_t>(index);
    // CNI has made sure that it is unique; waiting for duplicates would take a second.
    header.ifa_flags = ip.family == AF_INET6 ? IFA_F_NODAD : 0;
    NetlinkMessage add(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
    add.Add(IFA_LOCAL, ip.bytes);
    add.Add(IFA_ADDRESS, ip.bytes);
    RETURN_IF_ERROR(socket_.Do(std::move(add)), "address ", FormatIp(ip.family, ip.bytes), "/",
                    static_cast<int>(ip.prefix));
  }
  return absl::OkStatus();
}

absl::Status Network::UpdateInterface(const types::Interface& interface) {
  const std::string where =
      absl::StrCat("interface ", interface.name().empty() ? interface.device() : interface.name());
  ASSIGN_OR_RETURN(const Link link, FindLink(interface), where);
  RETURN_IF_ERROR(ConfigureLink(link, interface), where);
  RETURN_IF_ERROR(SetAddresses(link.index, interface), where);
  RETURN_IF_ERROR(SetFlags(link.index, IFF_UP, IFF_UP), where, ": set up");
  return absl::OkStatus();
}

absl::Status Network::SetUp(const std::string& name) {
  ASSIGN_OR_RETURN(const int index, IndexOf(name));
  RETURN_IF_ERROR(SetFlags(index, IFF_UP, IFF_UP), name, ": set up");
  return absl::OkStatus();
}

absl::StatusOr<int> Network::IndexOf(const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<Link> links, Links());
  for (const Link& link : links) {
    if (link.name == name) return link.index;
  }
  return absl::NotFoundError(absl::StrCat("no interface is called \"", name, "\""));
}

absl::StatusOr<grpc::Interfaces> Network::ListInterfaces() {
  ASSIGN_OR_RETURN(const std::vector<Link> links, Links());
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject> addresses, socket_.Dump(RTM_GETADDR, AF_UNSPEC, sizeof(ifaddrmsg)));
  grpc::Interfaces list;
  for (const Link& link : links) {
    types::Interface* interface = list.add_interfaces();
    interface->set_device(link.name);
    interface->set_name(link.name);
    interface->set_hwaddr(FormatMac(link.mac));
    interface->set_mtu(link.mtu);
    interface->set_raw_flags(link.flags);
    for (const NetlinkObject& object : addresses) {
      const auto info = object.As<ifaddrmsg>();
      if (static_cast<int>(info.ifa_index) != link.index) continue;
      const std::string* local = object.Find(IFA_LOCAL) != nullptr ? object.Find(IFA_LOCAL) : object.Find(IFA_ADDRESS);
      if (local == nullptr) continue;
      types::IPAddress* address = interface->add_ipaddresses();
      address->set_family(info.ifa_family == AF_INET ? types::v4 : types::v6);
      address->set_address(FormatIp(info.ifa_family, *local));
      address->set_mask(absl::StrCat(static_cast<int>(info.ifa_prefixlen)));
    }
  }
  return list;
}

}  // namespace podvisor::guest
