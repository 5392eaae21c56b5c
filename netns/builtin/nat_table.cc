#include "netns/builtin/nat_table.h"

#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr int kFamilies[] = {AF_INET, AF_INET6};

// A chain per subnet; each pod is an element that leads there. Destination NAT takes effect before routing, so the
// pod's own address and port are what `hairpin` sees. Priorities are dstnat and srcnat.
constexpr char kTable[] = R"(table FAMILY NAME {
  map pods {
    type ADDRESS : verdict
  }
  map host_port {
    type inet_proto . inet_service : ADDRESS . inet_service
  }
  map host_address_port {
    type ADDRESS . inet_proto . inet_service : ADDRESS . inet_service
  }
  map hairpin {
    type ADDRESS . inet_proto . inet_service : verdict
  }
  chain to_pods {
    dnat FAMILY addr . port to FAMILY daddr . meta l4proto . th dport map @host_address_port
    dnat FAMILY addr . port to meta l4proto . th dport map @host_port
  }
  chain prerouting {
    type nat hook prerouting priority -100;
    fib daddr type local goto to_pods
  }
  chain output {
    type nat hook output priority -100;
    fib daddr type local goto to_pods
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    ct status dnat FAMILY daddr . meta l4proto . th dport vmap @hairpin
    FAMILY saddr vmap @pods
  }
}
)";

constexpr char kSubnet[] = R"(add chain FAMILY NAME CHAIN_out
add chain FAMILY NAME CHAIN_in
add rule FAMILY NAME CHAIN_out FAMILY daddr SUBNET accept
add rule FAMILY NAME CHAIN_out FAMILY daddr != GROUPS masquerade
add rule FAMILY NAME CHAIN_in FAMILY saddr SUBNET masquerade
)";
constexpr char kSubnetLocalhost[] = "add rule FAMILY NAME CHAIN_in FAMILY saddr 127.0.0.0/8 masquerade\n";

std::string ChainPrefix(const IpNetwork& subnet) {
  const IpAddress first = subnet.First();
  return absl::StrCat(
      "net_",
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(first.bytes.data()), first.size())), "_",
      subnet.prefix);
}

std::string Fill(const std::string& text, const std::string& table, int family) {
  const bool v6 = family == AF_INET6;
  return absl::StrReplaceAll(text, {{"FAMILY", v6 ? "ip6" : "ip"},
                                    {"ADDRESS", v6 ? "ipv6_addr" : "ipv4_addr"},
                                    {"GROUPS", v6 ? "ff00::/8" : "224.0.0.0/4"},
                                    {"NAME", table}});
}

std::string SubnetText(const std::string& table, const IpNetwork& subnet) {
  // Packets from ::1 never leave the loopback interface, whatever one sets.
  const std::string text = subnet.address.family == AF_INET ? absl::StrCat(kSubnet, kSubnetLocalhost) : kSubnet;
  return absl::StrReplaceAll(Fill(text, table, subnet.address.family),
                             {{"CHAIN", ChainPrefix(subnet)}, {"SUBNET", subnet.ToString()}});
}

void AppendAddress(const IpAddress& address, std::vector<uint8_t>& into) {
  into.insert(into.end(), address.bytes.begin(), address.bytes.begin() + static_cast<ptrdiff_t>(address.size()));
}

void AppendPort(uint16_t port, std::vector<uint8_t>& into) {
  into.insert(into.end(), {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port & 0xff), 0, 0});
}

void AppendProtocol(int protocol, std::vector<uint8_t>& into) {
  into.insert(into.end(), {static_cast<uint8_t>(protocol), 0, 0, 0});
}

std::vector<NftElement> Elements(const NatRule& rule) {
  if (rule.kind == NatRule::Kind::kMasquerade) {
    NftElement element = {"pods", {}, {}, absl::StrCat(ChainPrefix(rule.subnet), "_out")};
    AppendAddress(rule.pod, element.key);
    return {element};
  }
  NftElement port = {rule.host_address.has_value() ? "host_address_port" : "host_port", {}, {}, ""};
  if (rule.host_address.has_value()) AppendAddress(*rule.host_address, port.key);
  AppendProtocol(rule.protocol, port.key);
  AppendPort(rule.host_port, port.key);
  AppendAddress(rule.pod, port.data);
  AppendPort(rule.container_port, port.data);
  if (!rule.snat) return {port};
  NftElement hairpin = {"hairpin", {}, {}, absl::StrCat(ChainPrefix(rule.subnet), "_in")};
  AppendAddress(rule.pod, hairpin.key);
  AppendProtocol(rule.protocol, hairpin.key);
  AppendPort(rule.container_port, hairpin.key);
  return {port, hairpin};
}

// Several rules may share one: two host ports of one container port.
template <typename Rules>
std::set<NftElement> AllElements(const Rules& rules) {
  std::set<NftElement> elements;
  for (const NatRule& rule : rules)
    for (NftElement& element : Elements(rule)) elements.insert(std::move(element));
  return elements;
}

std::vector<NatRule> OfFamily(const std::vector<NatRule>& rules, int family) {
  std::vector<NatRule> some;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(some),
               [family](const NatRule& rule) { return rule.pod.family == family; });
  return some;
}

// Whether one packet could be meant for both.
bool SamePort(const NatRule& a, const NatRule& b) {
  return a.kind == NatRule::Kind::kHostPort && b.kind == NatRule::Kind::kHostPort && a.protocol == b.protocol &&
         a.host_port == b.host_port && a.host_address == b.host_address && a.pod.family == b.pod.family;
}

}  // namespace

NatTable::NatTable(std::string name, NftSocket socket, nft_ctx* nft)
    : name_(std::move(name)), socket_(std::move(socket)), nft_(nft) {}

NatTable::~NatTable() { nft_ctx_free(nft_); }

absl::StatusOr<std::unique_ptr<NatTable>> NatTable::Open(std::string name) {
  ASSIGN_OR_RETURN(NftSocket socket, NftSocket::Open());
  nft_ctx* nft = nft_ctx_new(NFT_CTX_DEFAULT);
  if (nft == nullptr) return absl::ResourceExhaustedError("libnftables can't start");
  nft_ctx_buffer_output(nft);
  nft_ctx_buffer_error(nft);
  return std::unique_ptr<NatTable>(new NatTable(std::move(name), std::move(socket), nft));
}

absl::Status NatTable::RunText(const std::string& text) {
  if (nft_run_cmd_from_buffer(nft_, text.c_str()) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("nftables table ", name_, ": ", nft_ctx_get_error_buffer(nft_)));
}

std::set<NatRule> NatTable::RulesOf(int family) const {
  std::set<NatRule> some;
  std::copy_if(rules_.begin(), rules_.end(), std::inserter(some, some.end()),
               [family](const NatRule& rule) { return rule.pod.family == family; });
  return some;
}

absl::Status NatTable::Rebuild(int family) {
  const std::set<NatRule> rules = RulesOf(family);
  std::erase_if(subnets_, [family](const auto& entry) { return entry.first == family; });
  if (rules.empty()) return socket_.RemoveTable(family, name_);
  // "add" so that there is one to delete.
  std::string text = Fill("add table FAMILY NAME\ndelete table FAMILY NAME\n", name_, family);
  absl::StrAppend(&text, Fill(kTable, name_, family));
  std::set<IpNetwork> subnets;
  for (const NatRule& rule : rules) subnets.insert(rule.subnet);
  for (const IpNetwork& subnet : subnets) absl::StrAppend(&text, SubnetText(name_, subnet));
  RETURN_IF_ERROR(RunText(text));
  for (const IpNetwork& subnet : subnets) subnets_.insert({family, subnet});
  const std::set<NftElement> elements = AllElements(rules);
  std::vector<NftElement> unique;
  // Of two that want the same port (one was refused it and is being undone) one gets it: they are sorted by key.
  for (const NftElement& element : elements)
    if (unique.empty() || unique.back().map != element.map || unique.back().key != element.key)
      unique.push_back(element);
  return socket_.AddElements(family, name_, unique);
}

absl::Status NatTable::Set(std::set<NatRule> rules) {
  const absl::MutexLock lock(&mu_);
  rules_ = std::move(rules);
  for (const int family : kFamilies) RETURN_IF_ERROR(Rebuild(family));
  return absl::OkStatus();
}

absl::Status NatTable::CheckPortsAreFree(const std::vector<NatRule>& rules) {
  for (const NatRule& rule : rules) {
    if (rule.kind != NatRule::Kind::kHostPort) continue;
    for (const NatRule& other : rules_)
      if (SamePort(rule, other) && rule != other)
        return absl::FailedPreconditionError(absl::StrCat("host port ", rule.host_port, " belongs to the pod with ",
                                                          other.pod.ToString(), " already: choose another"));
  }
  return absl::OkStatus();
}

absl::Status NatTable::AddToFamily(int family, const std::vector<NatRule>& rules) {
  if (rules.empty()) return absl::OkStatus();
  if (std::none_of(subnets_.begin(), subnets_.end(), [family](const auto& entry) { return entry.first == family; }))
    return Rebuild(family);
  for (const NatRule& rule : rules) {
    if (subnets_.count({family, rule.subnet}) > 0) continue;
    if (!RunText(SubnetText(name_, rule.subnet)).ok()) return Rebuild(family);
    subnets_.insert({family, rule.subnet});
  }
  const std::set<NftElement> elements = AllElements(rules);
  if (socket_.AddElements(family, name_, {elements.begin(), elements.end()}).ok()) return absl::OkStatus();
  // Somebody has flushed or changed it.
  return Rebuild(family);
}

absl::Status NatTable::Add(const std::vector<NatRule>& rules) {
  const absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(CheckPortsAreFree(rules));
  rules_.insert(rules.begin(), rules.end());
  for (const int family : kFamilies) RETURN_IF_ERROR(AddToFamily(family, OfFamily(rules, family)));
  return absl::OkStatus();
}

absl::Status NatTable::Remove(const std::vector<NatRule>& rules) {
  const absl::MutexLock lock(&mu_);
  std::vector<NatRule> removed;
  for (const NatRule& rule : rules)
    if (rules_.erase(rule) > 0) removed.push_back(rule);
  for (const int family : kFamilies) {
    const std::vector<NatRule> gone = OfFamily(removed, family);
    if (gone.empty()) continue;
    const std::set<NatRule> left = RulesOf(family);
    if (left.empty()) {
      RETURN_IF_ERROR(Rebuild(family));
      continue;
    }
    std::set<NftElement> elements = AllElements(gone);
    for (const NatRule& rule : left)  // one that stays may share an element with one of the same pod
      if (std::any_of(gone.begin(), gone.end(), [&rule](const NatRule& other) { return other.pod == rule.pod; }))
        for (const NftElement& element : Elements(rule)) elements.erase(element);
    const absl::Status status = socket_.RemoveElements(family, name_, {elements.begin(), elements.end()});
    if (!status.ok()) RETURN_IF_ERROR(Rebuild(family));
  }
  return absl::OkStatus();
}

absl::Status NatTable::Check(const std::vector<NatRule>& rules) {
  const absl::MutexLock lock(&mu_);
  for (const NatRule& rule : rules) {
    if (rules_.count(rule) == 0) return absl::NotFoundError("nftables: a rule of the pod is not known");
    for (const NftElement& element : Elements(rule)) {
      const std::string text = Fill(absl::StrCat("list map FAMILY NAME ", element.map), name_, rule.pod.family);
      RETURN_IF_ERROR(RunText(text));
    }
  }
  return absl::OkStatus();
}

}  // namespace podvisor
