// A guest without a VM: a kernel's network stack behind a pod's tap, in a namespace of its own. Frames are carried
// between the pod's tap and one of the guest's, as a VMM carries them to a network card.
#ifndef PODVISOR_NETNS_TESTING_FAKE_GUEST_H_
#define PODVISOR_NETNS_TESTING_FAKE_GUEST_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "netns/pod_network.h"

namespace podvisor {

class FakeGuest {
 public:
  // `tap` from PodNetwork::OpenTap(); `netns_path` a file for the guest's namespace. The guest's interface is set up as
  // `network` says, by an agent's means: MAC, MTU, addresses, routes that replace those of the kernel, neighbours.
  static absl::StatusOr<std::unique_ptr<FakeGuest>> Start(UniqueFd tap, const PodNetworkResult& network,
                                                          const std::string& netns_path);
  // Ends the carrying and removes the namespace.
  ~FakeGuest();

  const std::string& netns_path() const { return netns_path_; }

 private:
  FakeGuest(UniqueFd pod_side, UniqueFd guest_side, UniqueFd stop, std::string netns_path);
  void Carry();

  UniqueFd pod_side_;
  UniqueFd guest_side_;
  UniqueFd stop_;  // an eventfd
  std::string netns_path_;
  std::thread carrier_;
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_TESTING_FAKE_GUEST_H_
