// The pods' masquerading and host ports: tables of nftables (one per IP version) that belong to this daemon alone.
#ifndef PODVISOR_NETNS_BUILTIN_NAT_TABLE_H_
#define PODVISOR_NETNS_BUILTIN_NAT_TABLE_H_

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "netns/builtin/ip.h"
#include "netns/builtin/nft_batch.h"

struct nft_ctx;

namespace podvisor {

struct NatRule {
  // kMasquerade: what the pod sends to outside its subnet (and not to groups) gets the host's address.
  // kHostPort: what arrives at a port of the host goes to the pod.
  enum class Kind { kMasquerade, kHostPort };
  IpAddress pod;
  IpNetwork subnet;  // the pod's, without host bits
  Kind kind = Kind::kMasquerade;
  // Of kHostPort:
  int protocol = 0;  // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP
  uint16_t host_port = 0, container_port = 0;
  std::optional<IpAddress> host_address;  // none: every address of the host
  // Answers to senders in the pod's own subnet, and to the host by 127.0.0.1, find their way back only if those got
  // the host's address.
  bool snat = true;
  friend auto operator<=>(const NatRule&, const NatRule&) = default;
};

// The kernel's tables are a function of the rules: whoever knows these can make those anew, which Set() does, and the
// others when they find something else than they left (a firewall was flushed). Thread-safe. Speaks for the network
// namespace of the thread that opened it.
class NatTable {
 public:
  // `name` of both tables.
  static absl::StatusOr<std::unique_ptr<NatTable>> Open(std::string name);
  ~NatTable();

  // The tables hold these rules and no others; without any, there are no tables.
  absl::Status Set(std::set<NatRule> rules);
  // kFailedPrecondition if a host port belongs to another pod already: nothing has been added.
  absl::Status Add(const std::vector<NatRule>& rules);
  // Rules that are not there are no error. With the last rule of an IP version its table goes.
  absl::Status Remove(const std::vector<NatRule>& rules);
  // Whether the tables are there: kNotFound. For CHECK.
  absl::Status Check(const std::vector<NatRule>& rules);

 private:
  NatTable(std::string name, NftSocket socket, nft_ctx* nft);
  absl::Status RunText(const std::string& text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::set<NatRule> RulesOf(int family) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes the table of a family anew, in one transaction.
  absl::Status Rebuild(int family) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckPortsAreFree(const std::vector<NatRule>& rules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status AddToFamily(int family, const std::vector<NatRule>& rules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string name_;
  absl::Mutex mu_;
  NftSocket socket_ ABSL_GUARDED_BY(mu_);
  nft_ctx* const nft_ ABSL_PT_GUARDED_BY(mu_);
  std::set<NatRule> rules_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<int, IpNetwork>> subnets_ ABSL_GUARDED_BY(mu_);  // whose chains the tables have, by family
};

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_NAT_TABLE_H_
