#include "netns/builtin/port_map.h"

#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "netns/builtin/bridge_links.h"
#include "netns/builtin/config_reader.h"
#include "netns/builtin/conntrack.h"
#include "netns/cni_json.h"
#include "netns/netlink.h"

namespace podvisor {
namespace {

constexpr char kTable[] = "cni_host_ports";  // NETWORK/CONTAINER/INTERFACE → rules
constexpr std::pair<const char*, int> kProtocols[] = {
    {"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};

absl::StatusOr<int> ProtocolNumber(const std::string& name) {
  for (const auto& [known, number] : kProtocols)
    if (absl::AsciiStrToLower(name) == known) return number;
  return absl::FailedPreconditionError(absl::StrCat("protocol \"", name, "\": there are tcp, udp and sctp"));
}

absl::StatusOr<uint16_t> Port(const nlohmann::json& mapping, const std::string& key) {
  ASSIGN_OR_RETURN(const int64_t port, IntField(mapping, key, 0));
  if (port < 1 || port > UINT16_MAX) return absl::FailedPreconditionError(absl::StrCat("\"", key, "\" is ", port));
  return static_cast<uint16_t>(port);
}

// The pod's first address of each IP version.
absl::StatusOr<std::vector<IpNetwork>> PodAddresses(const nlohmann::json& result) {
  ASSIGN_OR_RETURN(const nlohmann::json ips, ArrayField(result, "ips"));
  ASSIGN_OR_RETURN(const nlohmann::json interfaces, ArrayField(result, "interfaces"));
  std::vector<IpNetwork> addresses;
  for (const nlohmann::json& ip : ips) {
    if (!ip.is_object()) return absl::FailedPreconditionError("prevResult: \"ips\" holds something that is no object");
    ASSIGN_OR_RETURN(const int64_t index, IntField(ip, "interface", -1));
    if (index >= 0) {
      if (static_cast<size_t>(index) >= interfaces.size() || !interfaces[static_cast<size_t>(index)].is_object())
        return absl::FailedPreconditionError("prevResult: an address names an interface that is not there");
      ASSIGN_OR_RETURN(const std::string sandbox, StringField(interfaces[static_cast<size_t>(index)], "sandbox", ""));
      if (sandbox.empty()) continue;  // the host's
    }
    ASSIGN_OR_RETURN(const std::string text, StringField(ip, "address", ""));
    ASSIGN_OR_RETURN(const IpNetwork address, ParseIpNetwork(text), "prevResult");
    if (std::none_of(addresses.begin(), addresses.end(),
                     [&](const IpNetwork& other) { return other.address.family == address.address.family; }))
      addresses.push_back(address);
  }
  return addresses;
}

absl::Status AppendRules(const nlohmann::json& mapping, const std::vector<IpNetwork>& pod, bool snat,
                         std::vector<NatRule>& rules) {
  if (!mapping.is_object()) return absl::FailedPreconditionError("a port mapping is no object");
  NatRule rule;
  rule.kind = NatRule::Kind::kHostPort;
  rule.snat = snat;
  ASSIGN_OR_RETURN(const std::string protocol, StringField(mapping, "protocol", "tcp"));
  ASSIGN_OR_RETURN(rule.protocol, ProtocolNumber(protocol));
  ASSIGN_OR_RETURN(rule.host_port, Port(mapping, "hostPort"));
  ASSIGN_OR_RETURN(rule.container_port, Port(mapping, "containerPort"));
  ASSIGN_OR_RETURN(const std::string host_ip, StringField(mapping, "hostIP", ""));
  std::optional<IpAddress> host;
  if (!host_ip.empty()) {
    const absl::StatusOr<IpAddress> parsed = ParseIp(host_ip);
    if (!parsed.ok()) return absl::FailedPreconditionError(absl::StrCat("hostIP: ", parsed.status().message()));
    host = *parsed;
  }
  for (const IpNetwork& address : pod) {
    if (host.has_value() && host->family != address.address.family) continue;
    IpAddress any;
    any.family = address.address.family;
    rule.host_address = host == any ? std::nullopt : host;
    rule.pod = address.address;
    rule.subnet = {address.First(), address.prefix};
    rules.push_back(rule);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<NatRule>> RulesFor(const PluginCall& call, const nlohmann::json& previous) {
  for (const char* key : {"conditionsV4", "conditionsV6", "externalSetMarkChain"})
    if (const auto found = call.config.find(key); found != call.config.end() && !found->empty())
      return absl::FailedPreconditionError(absl::StrCat("the built-in portmap does not do \"", key,
                                                        "\": remove it, or set cni.builtin: false to run the program"));
  ASSIGN_OR_RETURN(const bool snat, BoolField(call.config, "snat", true));
  ASSIGN_OR_RETURN(const nlohmann::json runtime, ObjectField(call.config, "runtimeConfig"));
  ASSIGN_OR_RETURN(const nlohmann::json mappings, ArrayField(runtime, "portMappings"));
  std::vector<NatRule> rules;
  if (mappings.empty()) return rules;
  ASSIGN_OR_RETURN(const std::vector<IpNetwork> pod, PodAddresses(previous));
  for (const nlohmann::json& mapping : mappings) RETURN_IF_ERROR(AppendRules(mapping, pod, snat, rules));
  return rules;
}

// What comes from 127.0.0.1 may leave by the pod's link only if the kernel is told so.
absl::Status LetLocalhostThrough(const std::vector<NatRule>& rules) {
  const auto v4 = std::find_if(rules.begin(), rules.end(),
                               [](const NatRule& rule) { return rule.snat && rule.pod.family == AF_INET; });
  if (v4 == rules.end()) return absl::OkStatus();
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::string link, LinkTowards(netlink, v4->pod));
  return SetNetSetting(absl::StrCat("ipv4/conf/", link, "/route_localnet"), "1");
}

std::string ToJson(const std::vector<NatRule>& rules) {
  nlohmann::json list = nlohmann::json::array();
  for (const NatRule& rule : rules) {
    nlohmann::json entry = {
        {"pod", rule.pod.ToString()}, {"subnet", rule.subnet.ToString()},     {"protocol", rule.protocol},
        {"hostPort", rule.host_port}, {"containerPort", rule.container_port}, {"snat", rule.snat}};
    if (rule.host_address.has_value()) entry["hostIP"] = rule.host_address->ToString();
    list.push_back(std::move(entry));
  }
  return PrintJson({{"rules", std::move(list)}});
}

absl::StatusOr<std::vector<NatRule>> FromJson(const std::string& text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text));
  ASSIGN_OR_RETURN(const nlohmann::json list, ArrayField(json, "rules"));
  std::vector<NatRule> rules;
  for (const nlohmann::json& entry : list) {
    NatRule rule;
    rule.kind = NatRule::Kind::kHostPort;
    ASSIGN_OR_RETURN(const std::string pod, StringField(entry, "pod", ""));
    ASSIGN_OR_RETURN(rule.pod, ParseIp(pod));
    ASSIGN_OR_RETURN(const std::string subnet, StringField(entry, "subnet", ""));
    ASSIGN_OR_RETURN(rule.subnet, ParseIpNetwork(subnet));
    ASSIGN_OR_RETURN(const int64_t protocol, IntField(entry, "protocol", 0));
    rule.protocol = static_cast<int>(protocol);
    ASSIGN_OR_RETURN(rule.host_port, Port(entry, "hostPort"));
    ASSIGN_OR_RETURN(rule.container_port, Port(entry, "containerPort"));
    ASSIGN_OR_RETURN(rule.snat, BoolField(entry, "snat", true));
    ASSIGN_OR_RETURN(const std::string host, StringField(entry, "hostIP", ""));
    if (!host.empty()) {
      ASSIGN_OR_RETURN(rule.host_address, ParseIp(host));
    }
    rules.push_back(rule);
  }
  return rules;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PortMapPlugin>> PortMapPlugin::Open(StateDb& db, NatTable& nat) {
  std::unique_ptr<PortMapPlugin> plugin(new PortMapPlugin(db, nat));
  RETURN_IF_ERROR(plugin->Load(), "host ports of pods");
  return plugin;
}

absl::Status PortMapPlugin::Load() {
  const absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const std::vector<StateDb::Row> rows, db_.Scan(kTable));
  for (const auto& [key, value] : rows) {
    const std::vector<std::string> parts = absl::StrSplit(key, '/');
    if (parts.size() != 3) return absl::DataLossError(absl::StrCat("key ", key));
    ASSIGN_OR_RETURN(rules_[(AttachmentId{parts[0], parts[1], parts[2]})], FromJson(value), key);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PortMapPlugin::Add(const PluginCall& call) {
  ASSIGN_OR_RETURN(const nlohmann::json previous, ObjectField(call.config, "prevResult"));
  if (previous.empty())
    return absl::FailedPreconditionError("portmap has to come after a plugin that gives the pod addresses");
  ASSIGN_OR_RETURN(const std::vector<NatRule> rules, RulesFor(call, previous));
  if (rules.empty()) return PrintJson(previous);
  RETURN_IF_ERROR(db_.Put(kTable, call.id.ToString(), ToJson(rules)), "record host ports");
  {
    const absl::MutexLock lock(&mu_);
    rules_[call.id] = rules;
  }
  RETURN_IF_ERROR(nat_.Add(rules));
  RETURN_IF_ERROR(LetLocalhostThrough(rules));
  std::set<uint16_t> udp_ports;
  for (const NatRule& rule : rules)
    if (rule.protocol == IPPROTO_UDP) udp_ports.insert(rule.host_port);
  // The port works without: for those that sent to it before, later.
  if (const absl::Status status = ForgetUdpConnections(udp_ports); !status.ok())
    spdlog::warn("{}: {}", call.id.ToString(), status.ToString());
  return PrintJson(previous);
}

std::vector<NatRule> PortMapPlugin::RulesOf(const AttachmentId& id) {
  const absl::MutexLock lock(&mu_);
  const auto found = rules_.find(id);
  return found == rules_.end() ? std::vector<NatRule>() : found->second;
}

absl::Status PortMapPlugin::Del(const AttachmentId& id) {
  const std::vector<NatRule> rules = RulesOf(id);
  if (rules.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(nat_.Remove(rules));
  return Forget(id);
}

absl::Status PortMapPlugin::Forget(const AttachmentId& id) {
  RETURN_IF_ERROR(db_.Delete(kTable, id.ToString()), "forget host ports");
  const absl::MutexLock lock(&mu_);
  rules_.erase(id);
  return absl::OkStatus();
}

absl::Status PortMapPlugin::Check(const AttachmentId& id) { return nat_.Check(RulesOf(id)); }

std::map<AttachmentId, std::vector<NatRule>> PortMapPlugin::All() {
  const absl::MutexLock lock(&mu_);
  return rules_;
}

}  // namespace podvisor
