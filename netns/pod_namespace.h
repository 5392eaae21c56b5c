// A pod's namespace made ready for CNI and a VM: settings, loopback and tap.
#ifndef PODVISOR_NETNS_POD_NAMESPACE_H_
#define PODVISOR_NETNS_POD_NAMESPACE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "netns/pod_network.h"

namespace podvisor {

enum class Interworking { kNone, kTcFilter, kMacvtap };

// kInvalidArgument names the values there are.
absl::StatusOr<Interworking> ParseInterworking(const std::string& name);

// All take the path of the namespace and are idempotent.

// Makes the namespace, loopback up; with kTcFilter also the tap. After an error there is no more than before.
absl::Status CreatePodNamespace(const std::string& path, Interworking interworking);
// Deletes the links in it first: somebody may still hold the namespace itself (a mount namespace with a copy).
absl::Status DeletePodNamespace(const std::string& path);

absl::StatusOr<UniqueFd> OpenPodTap(const std::string& path);

// What the guest's interface has to look like; without a tap in the namespace the pod's addresses alone.
absl::StatusOr<PodNetworkResult> ReadPodInterface(const std::string& path,
                                                  const std::vector<std::string>& cni_addresses, absl::Time deadline);
// Joins the pod's interface to the tap. Not to be repeated under a running guest: in the moment between the old filter
// and the new one the namespace's kernel would answer for the guest, with resets.
absl::Status JoinPodInterface(const std::string& path, Interworking interworking);
// Takes apart what joins the two; success if the namespace is gone.
absl::Status SeparatePodInterface(const std::string& path);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_POD_NAMESPACE_H_
