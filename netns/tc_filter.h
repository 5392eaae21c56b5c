// Joins two links by traffic control: every frame that comes in at one leaves by the other.
#ifndef PODVISOR_NETNS_TC_FILTER_H_
#define PODVISOR_NETNS_TC_FILTER_H_

#include "absl/status/status.h"
#include "netns/netlink.h"

namespace podvisor {

// Redirects both ways, with cls_matchall, else cls_u32 (kernels without the former). An ingress qdisc that is there is
// replaced: may be repeated. Half of it stays after an error, see RemoveIngress().
absl::Status JoinLinks(Netlink& netlink, const LinkInfo& a, const LinkInfo& b);

// Removes a link's ingress qdisc and its filters. Success if it has none.
absl::Status RemoveIngress(Netlink& netlink, const LinkInfo& link);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_TC_FILTER_H_
