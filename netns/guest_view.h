// What a pod's interface looks like, so that the guest's can look the same.
#ifndef PODVISOR_NETNS_GUEST_VIEW_H_
#define PODVISOR_NETNS_GUEST_VIEW_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "netns/netlink.h"
#include "netns/pod_network.h"

namespace podvisor {

// Waits until no address of the link is being checked for duplicates any more. kDeadlineExceeded names those that are
// still, kUnavailable those that are duplicates. In the network namespace of the calling thread.
absl::Status WaitForAddresses(Netlink& netlink, const LinkInfo& link, absl::Time deadline);

// Fills interfaces, routes, neighbors and ips of a result. `cni_addresses` are those of CNI's result: they come first,
// and are the only link-local ones that are taken.
// - Routes that the kernel makes by itself for an address are left out: the guest's kernel makes them too. Routes
//   without a gateway come first, since the others may need them.
// - Only permanent neighbours are taken: the guest learns the others.
absl::StatusOr<PodNetworkResult> ReadGuestView(Netlink& netlink, const LinkInfo& link,
                                               const std::vector<std::string>& cni_addresses);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_GUEST_VIEW_H_
