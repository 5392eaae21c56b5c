#include "netns/guest_view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

std::string WithoutPrefixLength(const std::string& address) { return address.substr(0, address.find('/')); }

// The same for every spelling of an address: IPv6 has many.
std::string Canonical(const std::string& address) {
  std::string bare = WithoutPrefixLength(address);
  in6_addr bytes;
  char text[INET6_ADDRSTRLEN];
  if (::inet_pton(AF_INET6, bare.c_str(), &bytes) != 1) return bare;
  return ::inet_ntop(AF_INET6, &bytes, text, sizeof text);
}

// A socket that becomes readable when an IPv6 address changes.
absl::StatusOr<UniqueFd> WatchAddresses() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket.ok()) return ErrnoStatus(errno, "open a netlink socket");
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV6_IFADDR;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return ErrnoStatus(errno, "watch IPv6 addresses");
  return socket;
}

// Takes what has arrived: only that something has is of interest. A full buffer (ENOBUFS) means the same.
void Drain(int socket) {
  char buffer[8192];
  while (::recv(socket, buffer, sizeof buffer, 0) > 0) {
  }
}

std::vector<std::string> Take(const std::vector<AddressInfo>& found, const std::vector<std::string>& cni_addresses) {
  std::vector<std::string> addresses;
  std::set<std::string> taken;
  for (const std::string& wanted : cni_addresses) {
    if (!taken.insert(Canonical(wanted)).second) continue;
    const auto same = std::find_if(found.begin(), found.end(), [&](const AddressInfo& info) {
      return Canonical(info.address) == Canonical(wanted);
    });
    addresses.push_back(same == found.end() ? wanted : same->address);
  }
  for (const AddressInfo& info : found)
    if (info.scope != RT_SCOPE_LINK && taken.insert(Canonical(info.address)).second) addresses.push_back(info.address);
  return addresses;
}

void AppendRoutes(const std::vector<RouteInfo>& routes, const std::string& device, std::vector<GuestRoute>& into) {
  std::set<std::string> on_link;
  const auto append = [&](const RouteInfo& route) {
    into.push_back({route.destination, route.gateway, device, route.source, route.scope, route.family});
  };
  for (const RouteInfo& route : routes) {
    if (!route.gateway.empty() || route.protocol == RTPROT_KERNEL) continue;
    on_link.insert(route.destination);
    append(route);
  }
  for (const RouteInfo& route : routes) {
    if (route.gateway.empty() || !route.gateway_on_link) continue;
    // GuestRoute has no flag "onlink": a route to the gateway alone says the same.
    const std::string host = absl::StrCat(route.gateway, route.family == AF_INET6 ? "/128" : "/32");
    if (on_link.insert(host).second)
      into.push_back({host, "", device, "", route.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, route.family});
  }
  for (const RouteInfo& route : routes)
    if (!route.gateway.empty() && route.protocol != RTPROT_KERNEL) append(route);
}

}  // namespace

absl::Status WaitForAddresses(Netlink& netlink, const LinkInfo& link, absl::Time deadline) {
  ASSIGN_OR_RETURN(const UniqueFd watch, WatchAddresses());
  for (;;) {
    Drain(watch.get());
    ASSIGN_OR_RETURN(const std::vector<AddressInfo> addresses, netlink.Addresses(link.index));
    std::vector<std::string> tentative;
    for (const AddressInfo& address : addresses) {
      if ((address.flags & IFA_F_DADFAILED) != 0)
        return absl::UnavailableError(absl::StrCat("address ", address.address, " of ", link.name, " is in use by ",
                                                   "another machine (duplicate address detection)"));
      if ((address.flags & IFA_F_TENTATIVE) != 0 && (address.flags & IFA_F_OPTIMISTIC) == 0 &&
          address.scope != RT_SCOPE_LINK)
        tentative.push_back(address.address);
    }
    if (tentative.empty()) return absl::OkStatus();
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration())
      return absl::DeadlineExceededError(absl::StrCat("duplicate address detection of ", link.name,
                                                      " has not ended for ", absl::StrJoin(tentative, ", ")));
    pollfd poll_fd = {watch.get(), POLLIN, 0};
    ::poll(&poll_fd, 1, static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 1 << 30)));
  }
}

absl::StatusOr<PodNetworkResult> ReadGuestView(Netlink& netlink, const LinkInfo& link,
                                               const std::vector<std::string>& cni_addresses) {
  PodNetworkResult result;
  ASSIGN_OR_RETURN(const std::vector<AddressInfo> addresses, netlink.Addresses(link.index));
  GuestInterface interface = {link.name, link.mac, link.mtu, Take(addresses, cni_addresses)};
  for (const std::string& address : interface.addresses) result.ips.push_back(WithoutPrefixLength(address));
  result.interfaces.push_back(std::move(interface));
  ASSIGN_OR_RETURN(const std::vector<RouteInfo> routes, netlink.Routes(link.index));
  AppendRoutes(routes, link.name, result.routes);
  ASSIGN_OR_RETURN(const std::vector<NeighborInfo> neighbors, netlink.Neighbors(link.index));
  for (const NeighborInfo& neighbor : neighbors)
    if ((neighbor.state & NUD_PERMANENT) != 0 && !neighbor.mac.empty())
      result.neighbors.push_back({neighbor.address, neighbor.mac, link.name, neighbor.state});
  return result;
}

}  // namespace podvisor
