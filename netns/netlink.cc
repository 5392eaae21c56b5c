#include "netns/netlink.h"

#include <linux/if.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/macvtap.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

using CachePtr = std::unique_ptr<nl_cache, void (*)(nl_cache*)>;
using LinkPtr = std::unique_ptr<rtnl_link, void (*)(rtnl_link*)>;

template <typename Object>
void ForEach(const CachePtr& cache, const std::function<void(Object*)>& visit) {
  for (nl_object* object = nl_cache_get_first(cache.get()); object != nullptr; object = nl_cache_get_next(object))
    visit(reinterpret_cast<Object*>(object));
}

// Without the prefix length that libnl adds where it is not the full one.
std::string AddressText(nl_addr* address) {
  if (address == nullptr) return "";
  char text[128];
  std::string result = nl_addr2str(address, text, sizeof text);
  return result.substr(0, result.find('/'));
}

std::string PrefixText(nl_addr* address, uint32_t family) {
  if (address == nullptr || nl_addr_get_len(address) == 0) return family == AF_INET6 ? "::/0" : "0.0.0.0/0";
  return absl::StrCat(AddressText(address), "/", nl_addr_get_prefixlen(address));
}

std::string MacText(nl_addr* address) {
  if (address == nullptr || nl_addr_get_len(address) == 0) return "";
  return AddressText(address);
}

LinkInfo ToLinkInfo(rtnl_link* link) {
  const char* kind = rtnl_link_get_type(link);
  return {rtnl_link_get_ifindex(link), rtnl_link_get_name(link), MacText(rtnl_link_get_addr(link)),
          kind == nullptr ? "" : kind, rtnl_link_get_mtu(link)};
}

absl::StatusOr<LinkPtr> GetLink(nl_sock* socket, const std::string& name) {
  rtnl_link* link = nullptr;
  const int result = rtnl_link_get_kernel(socket, 0, name.c_str(), &link);
  if (result < 0) return NetlinkStatus(result, absl::StrCat("find link ", name));
  return LinkPtr(link, rtnl_link_put);
}

absl::Status ChangeLink(nl_sock* socket, const std::string& name, const std::function<void(rtnl_link*)>& change,
                        const char* what) {
  ASSIGN_OR_RETURN(const LinkPtr link, GetLink(socket, name));
  const LinkPtr wanted(rtnl_link_alloc(), rtnl_link_put);
  change(wanted.get());
  const int result = rtnl_link_change(socket, link.get(), wanted.get(), 0);
  if (result < 0) return NetlinkStatus(result, absl::StrCat(what, " of link ", name));
  return absl::OkStatus();
}

}  // namespace

absl::Status NetlinkStatus(int result, const std::string& call) {
  const std::string message = absl::StrCat(call, ": ", nl_geterror(result));
  switch (-result) {
    case NLE_OBJ_NOTFOUND:
    case NLE_NODEV:
      return absl::NotFoundError(message);
    case NLE_EXIST:
      return absl::AlreadyExistsError(message);
    case NLE_OPNOTSUPP:
      return absl::UnimplementedError(message);
    case NLE_PERM:
    case NLE_NOACCESS:
      return absl::PermissionDeniedError(absl::StrCat(message, " (needs CAP_NET_ADMIN)"));
    case NLE_BUSY:
    case NLE_AGAIN:
      return absl::UnavailableError(message);
    default:
      return absl::InternalError(message);
  }
}

void Netlink::Free(nl_sock* socket) { nl_socket_free(socket); }

absl::StatusOr<Netlink> Netlink::Open() {
  Netlink netlink(nl_socket_alloc());
  if (netlink.get() == nullptr) return absl::ResourceExhaustedError("no memory for a netlink socket");
  const int result = nl_connect(netlink.get(), NETLINK_ROUTE);
  if (result < 0) return NetlinkStatus(result, "connect to netlink");
  return netlink;
}

absl::StatusOr<std::vector<LinkInfo>> Netlink::Links() {
  nl_cache* raw = nullptr;
  const int result = rtnl_link_alloc_cache(get(), AF_UNSPEC, &raw);
  if (result < 0) return NetlinkStatus(result, "list links");
  const CachePtr cache(raw, nl_cache_free);
  std::vector<LinkInfo> links;
  ForEach<rtnl_link>(cache, [&](rtnl_link* link) { links.push_back(ToLinkInfo(link)); });
  return links;
}

absl::StatusOr<LinkInfo> Netlink::FindLink(const std::string& name) {
  ASSIGN_OR_RETURN(const LinkPtr link, GetLink(get(), name));
  return ToLinkInfo(link.get());
}

absl::Status Netlink::SetLinkUp(const std::string& name) {
  return ChangeLink(
      get(), name, [](rtnl_link* link) { rtnl_link_set_flags(link, IFF_UP); }, "bring up");
}

absl::Status Netlink::SetMtu(const std::string& name, uint32_t mtu) {
  return ChangeLink(
      get(), name, [mtu](rtnl_link* link) { rtnl_link_set_mtu(link, mtu); }, "set the MTU");
}

absl::Status Netlink::DeleteLink(const std::string& name) {
  const LinkPtr link(rtnl_link_alloc(), rtnl_link_put);
  rtnl_link_set_name(link.get(), name.c_str());
  const int result = rtnl_link_delete(get(), link.get());
  if (result == -NLE_NODEV || result == -NLE_OBJ_NOTFOUND || result == 0) return absl::OkStatus();
  return NetlinkStatus(result, absl::StrCat("delete link ", name));
}

absl::Status Netlink::AddMacvtap(const std::string& name, int lower) {
  const LinkPtr link(rtnl_link_macvtap_alloc(), rtnl_link_put);
  if (link == nullptr) return absl::ResourceExhaustedError("no memory for a macvtap link");
  rtnl_link_set_name(link.get(), name.c_str());
  rtnl_link_set_link(link.get(), lower);
  rtnl_link_macvtap_set_mode(link.get(), rtnl_link_macvtap_str2mode("passthru"));
  const int result = rtnl_link_add(get(), link.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (result < 0 && result != -NLE_EXIST) return NetlinkStatus(result, absl::StrCat("add macvtap ", name));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AddressInfo>> Netlink::Addresses(int link_index) {
  nl_cache* raw = nullptr;
  const int result = rtnl_addr_alloc_cache(get(), &raw);
  if (result < 0) return NetlinkStatus(result, "list addresses");
  const CachePtr cache(raw, nl_cache_free);
  std::vector<AddressInfo> addresses;
  ForEach<rtnl_addr>(cache, [&](rtnl_addr* address) {
    if (rtnl_addr_get_ifindex(address) != link_index) return;
    addresses.push_back({absl::StrCat(AddressText(rtnl_addr_get_local(address)), "/", rtnl_addr_get_prefixlen(address)),
                         static_cast<uint32_t>(rtnl_addr_get_family(address)),
                         static_cast<uint32_t>(rtnl_addr_get_scope(address)), rtnl_addr_get_flags(address)});
  });
  return addresses;
}

absl::StatusOr<std::vector<RouteInfo>> Netlink::Routes(int link_index) {
  nl_cache* raw = nullptr;
  const int result = rtnl_route_alloc_cache(get(), AF_UNSPEC, 0, &raw);
  if (result < 0) return NetlinkStatus(result, "list routes");
  const CachePtr cache(raw, nl_cache_free);
  std::vector<RouteInfo> routes;
  ForEach<rtnl_route>(cache, [&](rtnl_route* route) {
    if (rtnl_route_get_table(route) != RT_TABLE_MAIN || rtnl_route_get_type(route) != RTN_UNICAST) return;
    for (int i = 0; i < rtnl_route_get_nnexthops(route); ++i) {
      rtnl_nexthop* hop = rtnl_route_nexthop_n(route, i);
      if (rtnl_route_nh_get_ifindex(hop) != link_index) continue;
      const uint32_t family = rtnl_route_get_family(route);
      routes.push_back({PrefixText(rtnl_route_get_dst(route), family), AddressText(rtnl_route_nh_get_gateway(hop)),
                        AddressText(rtnl_route_get_pref_src(route)), rtnl_route_get_scope(route), family,
                        rtnl_route_get_protocol(route), rtnl_route_get_priority(route),
                        (rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK) != 0});
    }
  });
  return routes;
}

absl::StatusOr<std::vector<NeighborInfo>> Netlink::Neighbors(int link_index) {
  nl_cache* raw = nullptr;
  const int result = rtnl_neigh_alloc_cache(get(), &raw);
  if (result < 0) return NetlinkStatus(result, "list neighbours");
  const CachePtr cache(raw, nl_cache_free);
  std::vector<NeighborInfo> neighbors;
  ForEach<rtnl_neigh>(cache, [&](rtnl_neigh* neighbor) {
    const int family = rtnl_neigh_get_family(neighbor);
    if (rtnl_neigh_get_ifindex(neighbor) != link_index || (family != AF_INET && family != AF_INET6)) return;
    neighbors.push_back({AddressText(rtnl_neigh_get_dst(neighbor)), MacText(rtnl_neigh_get_lladdr(neighbor)),
                         static_cast<uint32_t>(rtnl_neigh_get_state(neighbor))});
  });
  return neighbors;
}

}  // namespace podvisor
