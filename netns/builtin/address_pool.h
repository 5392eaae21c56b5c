// Addresses of pods: given away by ranges, kept in the state database.
#ifndef PODVISOR_NETNS_BUILTIN_ADDRESS_POOL_H_
#define PODVISOR_NETNS_BUILTIN_ADDRESS_POOL_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/state_db.h"
#include "netns/builtin/ip.h"
#include "netns/builtin/ipam_config.h"

namespace podvisor {

// One interface of one container in one network.
struct AttachmentId {
  std::string network, container, interface;
  std::string ToString() const;  // "NETWORK/CONTAINER/INTERFACE": no part has a slash
  friend auto operator<=>(const AttachmentId&, const AttachmentId&) = default;
};

struct Lease {
  IpNetwork address;  // with the prefix length of its subnet
  IpAddress gateway;
  std::string data_dir;
  bool masquerade = false;  // what it sends to elsewhere gets the host's address
};

// A lease is a row of the state database and, for the program host-local, which may serve the same network before and
// after, a file DATA_DIR/NETWORK/ADDRESS as it makes them: what either has given away the other leaves alone. The row
// comes first and goes last. Addresses are given round-robin. Thread-safe; holds no lock for longer than a write takes.
class AddressPool {
 public:
  // With the leases that earlier processes gave. `db` outlives it.
  static absl::StatusOr<std::unique_ptr<AddressPool>> Open(StateDb& db);

  // One address of each range set, in their order. What `id` has already is given again. kResourceExhausted names the
  // range without a free address, kFailedPrecondition an address that was asked for and can't be had.
  absl::StatusOr<std::vector<Lease>> Allocate(const AttachmentId& id, const IpamConfig& config, bool masquerade);

  // Success if it has none.
  absl::Status Release(const AttachmentId& id);

  std::vector<Lease> LeasesOf(const AttachmentId& id);
  std::map<AttachmentId, std::vector<Lease>> All();

 private:
  explicit AddressPool(StateDb& db) : db_(db) {}
  struct Choice {
    Lease lease;
    size_t set = 0;
  };
  absl::Status Load();
  absl::StatusOr<Choice> Choose(const AttachmentId& id, const IpamConfig& config, size_t set, IpAddress* requested)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Record(const AttachmentId& id, const std::vector<Choice>& choices) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Forget(const AttachmentId& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  StateDb& db_;
  absl::Mutex mu_;
  std::map<AttachmentId, std::vector<Lease>> leases_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, IpAddress>, AttachmentId> owners_ ABSL_GUARDED_BY(mu_);  // by network and address
  std::map<std::string, IpAddress> last_ ABSL_GUARDED_BY(mu_);                             // by "NETWORK/SET"
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_ADDRESS_POOL_H_
