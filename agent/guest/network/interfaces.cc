#include <errno.h>
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

NetlinkMessage Flags(int index, unsigned flags, unsigned change) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  return NetlinkMessage(RTM_NEWLINK, NLM_F_ACK, header);
}

NetlinkMessage ToNamespace(int index, int network_namespace) {
  ifinfomsg header{};
  header.ifi_index = index;
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, header);
  message.AddNumber(IFLA_NET_NS_FD, static_cast<uint32_t>(network_namespace));
  return message;
}

NetlinkMessage RemoveAddress(const ifaddrmsg& header, const std::string& local) {
  NetlinkMessage message(RTM_DELADDR, NLM_F_ACK, header);
  message.Add(IFA_LOCAL, local);
  return message;
}

const std::string* LocalAddress(const NetlinkObject& object) {
  const std::string* local = object.Find(IFA_LOCAL);
  return local != nullptr ? local : object.Find(IFA_ADDRESS);
}

}  // namespace

absl::StatusOr<Network> Network::Open(NetworkOriginals& originals) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open());
  return Network(std::move(socket), originals);
}

absl::StatusOr<std::vector<Link>*> Network::Links() {
  if (links_.has_value()) return &*links_;
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject> objects, socket_.Dump(RTM_GETLINK, AF_UNSPEC, sizeof(ifinfomsg)));
  links_.emplace();
  for (const NetlinkObject& object : objects) {
    const auto info = object.As<ifinfomsg>();
    const std::string* mac = object.Find(IFLA_ADDRESS);
    links_->push_back({.index = info.ifi_index,
                       .flags = info.ifi_flags,
                       .name = object.Text(IFLA_IFNAME),
                       .mac = mac == nullptr ? "" : *mac,
                       .mtu = object.Number(IFLA_MTU)});
  }
  return &*links_;
}

absl::StatusOr<const std::vector<NetlinkObject>*> Network::Addresses() {
  if (!addresses_.has_value()) {
    ASSIGN_OR_RETURN(addresses_, socket_.Dump(RTM_GETADDR, AF_UNSPEC, sizeof(ifaddrmsg)));
  }
  return &*addresses_;
}

// Null if there is none.
absl::StatusOr<Link*> Network::FindNamed(const types::Interface& interface) {
  ASSIGN_OR_RETURN(std::vector<Link>* const links, Links());
  std::string mac;
  if (!interface.hwaddr().empty()) {
    ASSIGN_OR_RETURN(mac, ParseMac(interface.hwaddr()));
  }
  for (Link& link : *links) {
    if (!mac.empty() && link.mac == mac && (link.flags & IFF_LOOPBACK) == 0) return &link;
  }
  for (const std::string* name : {&interface.device(), &interface.name()}) {
    for (Link& link : *links) {
      if (!name->empty() && link.name == *name) return &link;
    }
  }
  return nullptr;
}

absl::StatusOr<Link*> Network::FindLink(const types::Interface& interface) {
  ASSIGN_OR_RETURN(Link* const named, FindNamed(interface));
  if (named != nullptr) return named;
  std::vector<Link*> candidates;
  for (Link& link : **Links()) {
    if ((link.flags & IFF_LOOPBACK) == 0) candidates.push_back(&link);
  }
  if (candidates.size() == 1) return candidates[0];
  return absl::NotFoundError(absl::StrCat("no interface with MAC address ", interface.hwaddr(), " or name ",
                                          interface.device(), " among ", candidates.size()));
}

absl::StatusOr<Link*> Network::FindName(const std::string& name) {
  ASSIGN_OR_RETURN(std::vector<Link>* const links, Links());
  for (Link& link : *links) {
    if (link.name == name) return &link;
  }
  return absl::NotFoundError(absl::StrCat("no interface is called \"", name, "\""));
}

void Network::RememberLink(const Link& link) {
  // What lo has is the guest's.
  if ((link.flags & IFF_LOOPBACK) == 0) originals_.links.emplace(link.index, link);
}

absl::Status Network::PlanLink(const types::Interface& interface, const std::string& where, Link* link,
                               NetlinkBatch* batch) {
  RememberLink(*link);
  ifinfomsg header{};
  header.ifi_index = link->index;
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, header);
  bool changed = false;
  if (!interface.hwaddr().empty()) {
    ASSIGN_OR_RETURN(const std::string mac, ParseMac(interface.hwaddr()));
    if (mac != link->mac) {
      message.Add(IFLA_ADDRESS, mac);
      changed = true;
    }
  }
  if (interface.mtu() != 0 && interface.mtu() != link->mtu) {
    message.AddNumber(IFLA_MTU, static_cast<uint32_t>(interface.mtu()));
    changed = true;
  }
  const std::string& name = interface.name();
  if (!name.empty() && name != link->name) {
    if (name.size() > kMaxNameBytes) return absl::InvalidArgumentError(absl::StrCat("interface name ", name));
    // Only what is down can be renamed.
    if ((link->flags & IFF_UP) != 0) batch->Add(Flags(link->index, 0, IFF_UP), where + ": set down");
    message.AddText(IFLA_IFNAME, name);
    link->name = name;
    changed = true;
  }
  if (changed) batch->Add(std::move(message), where + ": MAC address, MTU or name");
  return absl::OkStatus();
}

absl::Status Network::PlanAddresses(const types::Interface& interface, const std::string& where, int index,
                                    NetlinkBatch* batch) {
  std::vector<IpAddress> wanted;
  for (const types::IPAddress& address : interface.ipaddresses()) {
    ASSIGN_OR_RETURN(IpAddress ip, ParseIpWithMask(address.address(), address.mask()), where);
    wanted.push_back(std::move(ip));
  }
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject>* const present, Addresses());
  for (const NetlinkObject& object : *present) {
    const auto info = object.As<ifaddrmsg>();
    if (static_cast<int>(info.ifa_index) != index || info.ifa_scope == RT_SCOPE_LINK) continue;
    const std::string* local = LocalAddress(object);
    if (local == nullptr) continue;
    const IpAddress ip{.family = info.ifa_family, .bytes = *local, .prefix = info.ifa_prefixlen};
    if (std::erase(wanted, ip) > 0) continue;
    // Setting the link down may have removed it already.
    batch->Add(RemoveAddress(info, *local), absl::StrCat(where, ": remove ", FormatIp(ip.family, ip.bytes)),
               EADDRNOTAVAIL);
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
    batch->Add(std::move(add),
               absl::StrCat(where, ": address ", FormatIp(ip.family, ip.bytes), "/", static_cast<int>(ip.prefix)));
  }
  return absl::OkStatus();
}

absl::Status Network::PlanInterface(const types::Interface& interface, NetlinkBatch* batch) {
  const std::string where =
      absl::StrCat("interface ", interface.name().empty() ? interface.device() : interface.name());
  ASSIGN_OR_RETURN(Link* const link, FindLink(interface), where);
  RETURN_IF_ERROR(PlanLink(interface, where, link, batch), where);
  RETURN_IF_ERROR(PlanAddresses(interface, where, link->index, batch));
  batch->Add(Flags(link->index, IFF_UP, IFF_UP), where + ": set up");
  return absl::OkStatus();
}

absl::Status Network::UpdateInterface(const types::Interface& interface) {
  NetlinkBatch batch;
  RETURN_IF_ERROR(PlanInterface(interface, &batch));
  return socket_.Do(std::move(batch));
}

absl::Status Network::Configure(const std::vector<types::Interface>& interfaces, std::vector<types::Route> routes,
                                const std::vector<types::ARPNeighbor>& neighbors) {
  NetlinkBatch batch;
  for (const types::Interface& interface : interfaces) RETURN_IF_ERROR(PlanInterface(interface, &batch));
  RETURN_IF_ERROR(PlanRoutes(std::move(routes), &batch));
  for (const types::ARPNeighbor& neighbor : neighbors) RETURN_IF_ERROR(PlanNeighbor(neighbor, &batch));
  return socket_.Do(std::move(batch));
}

absl::Status Network::SetUp(const std::string& name) {
  ASSIGN_OR_RETURN(const Link* const link, FindName(name));
  NetlinkBatch batch;
  batch.Add(Flags(link->index, IFF_UP, IFF_UP), name + ": set up");
  return socket_.Do(std::move(batch));
}

absl::StatusOr<bool> Network::Has(const types::Interface& interface) {
  ASSIGN_OR_RETURN(const Link* const named, FindNamed(interface));
  return named != nullptr;
}

absl::Status Network::MoveTo(const types::Interface& interface, int network_namespace) {
  ASSIGN_OR_RETURN(const Link* const link, FindLink(interface));
  NetlinkBatch batch;
  batch.Add(ToNamespace(link->index, network_namespace), link->name + ": to another network namespace");
  return socket_.Do(std::move(batch));
}

absl::Status Network::MoveAllTo(int network_namespace) {
  ASSIGN_OR_RETURN(const std::vector<Link>* const links, Links());
  NetlinkBatch batch;
  for (const Link& link : *links) {
    if ((link.flags & IFF_LOOPBACK) != 0) continue;
    // EINVAL: one that belongs to its namespace, as a tunnel's template does.
    batch.Add(ToNamespace(link.index, network_namespace), link.name + ": back to the guest's namespace", EINVAL);
  }
  return socket_.Do(std::move(batch));
}

absl::Status Network::Restore() {
  NetlinkBatch batch;
  if (originals_.routes_changed) RETURN_IF_ERROR(PlanOldRoutes(&batch));
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject>* const addresses, Addresses());
  for (const auto& [index, link] : originals_.links) {
    const std::string where = "restore interface " + link.name;
    for (const NetlinkObject& object : *addresses) {
      const auto info = object.As<ifaddrmsg>();
      const std::string* local = LocalAddress(object);
      if (static_cast<int>(info.ifa_index) != index || local == nullptr || info.ifa_scope == RT_SCOPE_LINK) continue;
      batch.Add(RemoveAddress(info, *local), where + ": remove an address", EADDRNOTAVAIL);
    }
    // Takes its routes and neighbours along, permanent ones as well. An interface may be gone by now.
    batch.Add(Flags(index, 0, IFF_UP), where + ": set down", ENODEV);
    ifinfomsg header{};
    header.ifi_index = index;
    NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, header);
    message.AddText(IFLA_IFNAME, link.name);
    if (!link.mac.empty()) message.Add(IFLA_ADDRESS, link.mac);
    message.AddNumber(IFLA_MTU, link.mtu);
    batch.Add(std::move(message), where, ENODEV);
    if ((link.flags & IFF_UP) != 0) batch.Add(Flags(index, IFF_UP, IFF_UP), where + ": set up", ENODEV);
  }
  originals_ = NetworkOriginals();
  return socket_.Do(std::move(batch));
}

absl::StatusOr<grpc::Interfaces> Network::ListInterfaces() {
  ASSIGN_OR_RETURN(const std::vector<Link>* const links, Links());
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject>* const addresses, Addresses());
  grpc::Interfaces list;
  for (const Link& link : *links) {
    types::Interface* interface = list.add_interfaces();
    interface->set_device(link.name);
    interface->set_name(link.name);
    interface->set_hwaddr(FormatMac(link.mac));
    interface->set_mtu(link.mtu);
    interface->set_raw_flags(link.flags);
    for (const NetlinkObject& object : *addresses) {
      const auto info = object.As<ifaddrmsg>();
      if (static_cast<int>(info.ifa_index) != link.index) continue;
      const std::string* local = LocalAddress(object);
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
