#include <errno.h>
#include <linux/neighbour.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/guest/network/addresses.h"
#include "agent/guest/network/network.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

bool IsOfMainTable(const rtmsg& header) { return header.rtm_table == RT_TABLE_MAIN && header.rtm_type == RTN_UNICAST; }

// Not for us to remove: the kernel made it with an address or from a router's advertisement.
bool IsKernels(const rtmsg& header) { return header.rtm_protocol == RTPROT_KERNEL || header.rtm_protocol == RTPROT_RA; }

// "" and "default" are the route to everywhere, of the family that the gateway or the message says.
absl::StatusOr<IpAddress> Destination(const types::Route& route) {
  if (!route.dest().empty() && route.dest() != "default") return ParseIp(route.dest());
  bool v6 = route.family() == types::v6;
  if (!route.gateway().empty()) v6 = route.gateway().find(':') != std::string::npos;
  return IpAddress{
      .family = static_cast<uint8_t>(v6 ? AF_INET6 : AF_INET), .bytes = std::string(v6 ? 16 : 4, '\0'), .prefix = 0};
}

absl::StatusOr<std::string> AddressOfFamily(const std::string& text, uint8_t family) {
  ASSIGN_OR_RETURN(const IpAddress ip, ParseIp(text));
  if (ip.family != family) return absl::InvalidArgumentError(absl::StrCat(text, " is of another address family"));
  return ip.bytes;
}

}  // namespace

absl::Status Network::PlanRoute(const types::Route& route, const std::string& where, NetlinkBatch* batch) {
  ASSIGN_OR_RETURN(const IpAddress destination, Destination(route), where);
  rtmsg header{};
  header.rtm_family = destination.family;
  header.rtm_dst_len = destination.prefix;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_type = RTN_UNICAST;
  header.rtm_scope = static_cast<unsigned char>(route.scope());
  // What has no gateway is reached directly, whether the host said so or not.
  if (route.gateway().empty() && route.scope() == 0 && destination.family == AF_INET) header.rtm_scope = RT_SCOPE_LINK;
  header.rtm_flags = route.flags() & RTNH_F_ONLINK;
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
  if (destination.prefix != 0) message.Add(RTA_DST, destination.bytes);
  if (!route.gateway().empty()) {
    ASSIGN_OR_RETURN(const std::string gateway, AddressOfFamily(route.gateway(), destination.family), where);
    message.Add(RTA_GATEWAY, gateway);
  }
  if (!route.source().empty()) {
    ASSIGN_OR_RETURN(const std::string source, AddressOfFamily(route.source(), destination.family), where);
    message.Add(RTA_PREFSRC, source);
  }
  if (!route.device().empty()) {
    ASSIGN_OR_RETURN(const Link* const link, FindName(route.device()), where);
    message.AddNumber(RTA_OIF, static_cast<uint32_t>(link->index));
  }
  if (route.mtu() != 0) message.AddNestedNumber(RTA_METRICS, RTAX_MTU, route.mtu());
  batch->Add(std::move(message), where);
  return absl::OkStatus();
}

absl::Status Network::PlanOldRoutes(NetlinkBatch* batch) {
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject> present, socket_.Dump(RTM_GETROUTE, AF_UNSPEC, sizeof(rtmsg)));
  for (const NetlinkObject& object : present) {
    const auto header = object.As<rtmsg>();
    if (!IsOfMainTable(header) || IsKernels(header)) continue;
    NetlinkMessage message(RTM_DELROUTE, NLM_F_ACK, header);
    for (const uint16_t type : {RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PRIORITY}) {
      if (const std::string* value = object.Find(type)) message.Add(type, *value);
    }
    // One that another one, or its link, took along is gone as well.
    batch->Add(std::move(message), "remove an old route", ESRCH);
  }
  return absl::OkStatus();
}

absl::Status Network::PlanRoutes(std::vector<types::Route> routes, NetlinkBatch* batch) {
  originals_.routes_changed = true;
  RETURN_IF_ERROR(PlanOldRoutes(batch));
  // A gateway has to be reachable when a route names it.
  std::stable_partition(routes.begin(), routes.end(),
                        [](const types::Route& route) { return route.gateway().empty(); });
  for (const types::Route& route : routes) {
    RETURN_IF_ERROR(PlanRoute(route,
                              absl::StrCat("route to ", route.dest().empty() ? "default" : route.dest(), " via \"",
                                           route.gateway(), "\" on ", route.device()),
                              batch));
  }
  return absl::OkStatus();
}

absl::Status Network::UpdateRoutes(std::vector<types::Route> routes) {
  NetlinkBatch batch;
  RETURN_IF_ERROR(PlanRoutes(std::move(routes), &batch));
  return socket_.Do(std::move(batch));
}

absl::Status Network::PlanNeighbor(const types::ARPNeighbor& neighbor, NetlinkBatch* batch) {
  const std::string where = absl::StrCat("neighbour ", neighbor.toipaddress().address());
  ASSIGN_OR_RETURN(const IpAddress ip, ParseIp(neighbor.toipaddress().address()), where);
  ASSIGN_OR_RETURN(const std::string mac, ParseMac(neighbor.lladdr()), where);
  ASSIGN_OR_RETURN(const Link* const link, FindName(neighbor.device()), where);
  RememberLink(*link);
  ndmsg header{};
  header.ndm_family = ip.family;
  header.ndm_ifindex = link->index;
  header.ndm_state = static_cast<uint16_t>(neighbor.state() != 0 ? neighbor.state() : NUD_PERMANENT);
  header.ndm_flags = static_cast<uint8_t>(neighbor.flags());
  NetlinkMessage message(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
  message.Add(NDA_DST, ip.bytes);
  message.Add(NDA_LLADDR, mac);
  batch->Add(std::move(message), where);
  return absl::OkStatus();
}

absl::Status Network::AddNeighbor(const types::ARPNeighbor& neighbor) {
  NetlinkBatch batch;
  RETURN_IF_ERROR(PlanNeighbor(neighbor, &batch));
  return socket_.Do(std::move(batch));
}

absl::StatusOr<grpc::Routes> Network::ListRoutes() {
  ASSIGN_OR_RETURN(const std::vector<Link>* const links, Links());
  ASSIGN_OR_RETURN(const std::vector<NetlinkObject> objects, socket_.Dump(RTM_GETROUTE, AF_UNSPEC, sizeof(rtmsg)));
  grpc::Routes list;
  for (const NetlinkObject& object : objects) {
    const auto header = object.As<rtmsg>();
    if (!IsOfMainTable(header)) continue;
    types::Route* route = list.add_routes();
    route->set_family(header.rtm_family == AF_INET ? types::v4 : types::v6);
    route->set_scope(header.rtm_scope);
    route->set_flags(header.rtm_flags);
    if (const std::string* value = object.Find(RTA_DST)) {
      route->set_dest(absl::StrCat(FormatIp(header.rtm_family, *value), "/", static_cast<int>(header.rtm_dst_len)));
    }
    if (const std::string* value = object.Find(RTA_GATEWAY)) route->set_gateway(FormatIp(header.rtm_family, *value));
    if (const std::string* value = object.Find(RTA_PREFSRC)) route->set_source(FormatIp(header.rtm_family, *value));
    for (const Link& link : *links) {
      if (link.index == static_cast<int>(object.Number(RTA_OIF))) route->set_device(link.name);
    }
  }
  return list;
}

}  // namespace podvisor::guest
