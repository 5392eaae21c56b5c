// The guest's interfaces, routes and neighbours, as Kata's messages have them.
#ifndef PODVISOR_AGENT_GUEST_NETWORK_NETWORK_H_
#define PODVISOR_AGENT_GUEST_NETWORK_NETWORK_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/guest/network/netlink.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/types.pb.h"

namespace podvisor::guest {

// An interface of the guest.
struct Link {
  int index = 0;
  unsigned flags = 0;  // IFF_*
  std::string name;
  std::string mac;  // bytes
  uint32_t mtu = 0;
};

// What was found before a pod's configuration changed it, so that it can be undone: by interface, as it was.
struct NetworkOriginals {
  std::map<int, Link> links;
  bool routes_changed = false;
};

// One exchange with the kernel each; what it finds is remembered for the object's life, so objects are short-lived.
class Network {
 public:
  // `originals` gets what is about to be changed; it outlives the object.
  static absl::StatusOr<Network> Open(NetworkOriginals& originals);

  // Finds the interface by MAC address, else by device name, else takes the only one that is not lo; then gives it MAC,
  // name, MTU and addresses (others are removed) and sets it up. kNotFound if there is none to take.
  absl::Status UpdateInterface(const types::Interface& interface);
  // Makes the main table hold these, and what the kernel put there itself.
  absl::Status UpdateRoutes(std::vector<types::Route> routes);
  absl::Status AddNeighbor(const types::ARPNeighbor& neighbor);
  // All of that at once.
  absl::Status Configure(const std::vector<types::Interface>& interfaces, std::vector<types::Route> routes,
                         const std::vector<types::ARPNeighbor>& neighbors);
  absl::Status SetUp(const std::string& name);
  // Whether an interface has its MAC address or its name.
  absl::StatusOr<bool> Has(const types::Interface& interface);
  // Finds it as UpdateInterface() does, and gives it to another network namespace: down, without addresses.
  absl::Status MoveTo(const types::Interface& interface, int network_namespace);
  // All that are not the namespace's own. Those that can't go stay.
  absl::Status MoveAllTo(int network_namespace);

  // Undoes all changes since `originals` was empty, which it is again then: addresses, routes, neighbours, names.
  absl::Status Restore();

  absl::StatusOr<grpc::Interfaces> ListInterfaces();
  absl::StatusOr<grpc::Routes> ListRoutes();

 private:
  Network(NetlinkSocket socket, NetworkOriginals& originals) : socket_(std::move(socket)), originals_(originals) {}

  absl::StatusOr<std::vector<Link>*> Links();
  absl::StatusOr<Link*> FindNamed(const types::Interface& interface);
  absl::StatusOr<Link*> FindLink(const types::Interface& interface);
  absl::StatusOr<Link*> FindName(const std::string& name);
  absl::StatusOr<const std::vector<NetlinkObject>*> Addresses();

  void RememberLink(const Link& link);
  absl::Status PlanInterface(const types::Interface& interface, NetlinkBatch* batch);
  absl::Status PlanLink(const types::Interface& interface, const std::string& where, Link* link, NetlinkBatch* batch);
  absl::Status PlanAddresses(const types::Interface& interface, const std::string& where, int index,
                             NetlinkBatch* batch);
  absl::Status PlanRoutes(std::vector<types::Route> routes, NetlinkBatch* batch);
  absl::Status PlanRoute(const types::Route& route, const std::string& where, NetlinkBatch* batch);
  absl::Status PlanOldRoutes(NetlinkBatch* batch);
  absl::Status PlanNeighbor(const types::ARPNeighbor& neighbor, NetlinkBatch* batch);

  NetlinkSocket socket_;
  NetworkOriginals& originals_;
  std::optional<std::vector<Link>> links_;
  std::optional<std::vector<NetlinkObject>> addresses_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_NETWORK_NETWORK_H_
