// The guest's interfaces, routes and neighbours, as Kata's messages have them.
#ifndef PODVISOR_AGENT_GUEST_NETWORK_NETWORK_H_
#define PODVISOR_AGENT_GUEST_NETWORK_NETWORK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/guest/network/netlink.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/types.pb.h"

namespace podvisor::guest {

class Network {
 public:
  static absl::StatusOr<Network> Open();

  // Finds the interface by MAC address, else by device name, else takes the only one that is not lo; then gives it MAC,
  // name, MTU and addresses (others are removed) and sets it up. kNotFound if there is none to take.
  absl::Status UpdateInterface(const types::Interface& interface);
  // Makes the main table hold these, and what the kernel put there itself.
  absl::Status UpdateRoutes(std::vector<types::Route> routes);
  absl::Status AddNeighbor(const types::ARPNeighbor& neighbor);
  absl::Status SetUp(const std::string& name);

  absl::StatusOr<grpc::Interfaces> ListInterfaces();
  absl::StatusOr<grpc::Routes> ListRoutes();

 private:
  struct Link {
    int index = 0;
    unsigned flags = 0;
    std::string name;
    std::string mac;  // bytes
    uint32_t mtu = 0;
  };

  explicit Network(NetlinkSocket socket) : socket_(std::move(socket)) {}
  absl::StatusOr<std::vector<Link>> Links();
  absl::StatusOr<Link> FindLink(const types::Interface& interface);
  absl::StatusOr<int> IndexOf(const std::string& name);
  absl::Status ConfigureLink(const Link& link, const types::Interface& interface);
  absl::Status SetFlags(int index, unsigned flags, unsigned change);
  absl::Status SetAddresses(int index, const types::Interface& interface);
  absl::Status AddRoute(const types::Route& route);
  absl::Status DeleteOldRoutes();

  NetlinkSocket socket_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_NETWORK_NETWORK_H_
