#include "netns/builtin/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "netns/builtin/bridge_links.h"
#include "netns/builtin/config_reader.h"
#include "netns/cni_json.h"
#include "netns/namespace.h"
#include "netns/netlink.h"

namespace podvisor {
namespace {

// For the kernel to take away what earlier DELs left to the background.
constexpr absl::Duration kEndingBudget = absl::Seconds(30);
constexpr int kPodInterfaceIndex = 2;  // of the result's interfaces: bridge, host's end, pod's end

// FNV-1a: the same in every process, unlike std::hash.
uint32_t Digest(absl::string_view text) {
  uint32_t hash = 2166136261u;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 16777619u;
  return hash;
}

// The host's end is found again by its name alone.
std::string HostLinkName(const AttachmentId& id) { return absl::StrFormat("veth%08x", Digest(id.ToString())); }

// Made from the address: whoever is given that next has the same MAC, so no neighbour's cache is ever wrong.
std::string MacFor(uint8_t first, const AttachmentId& id, const std::vector<Lease>& leases) {
  uint32_t number = Digest(id.ToString());
  if (!leases.empty()) {
    const IpAddress& ip = leases[0].address.address;
    number = ip.family == AF_INET ? (uint32_t{ip.bytes[0]} << 24 | ip.bytes[1] << 16 | ip.bytes[2] << 8 | ip.bytes[3])
                                  : Digest(ip.ToString());
  }
  return absl::StrFormat("%02x:58:%02x:%02x:%02x:%02x", first, number >> 24, (number >> 16) & 0xff,
                         (number >> 8) & 0xff, number & 0xff);
}

// The configured routes, and with isDefaultGateway a default route for each family that names none with a gateway.
std::vector<IpRoute> Routes(const BridgeConfig& config, const std::vector<Lease>& leases) {
  std::vector<IpRoute> routes = config.ipam.has_value() ? config.ipam->routes : std::vector<IpRoute>();
  if (!config.is_default_gateway) return routes;
  for (const Lease& lease : leases) {
    IpNetwork everything;
    everything.address.family = lease.address.address.family;
    const bool there = std::any_of(routes.begin(), routes.end(), [&everything](const IpRoute& route) {
      return route.destination == everything && route.gateway.has_value();
    });
    if (!there) routes.push_back({everything, lease.gateway});
  }
  return routes;
}

absl::Status BecomeGateway(Netlink& netlink, const LinkInfo& bridge, const BridgeConfig& config,
                           const std::vector<Lease>& leases) {
  for (const Lease& lease : leases) {
    RETURN_IF_ERROR(EnsureBridgeAddress(netlink, bridge, {lease.gateway, lease.address.prefix},
                                        config.force_address ? ForceAddress::kYes : ForceAddress::kNo));
    RETURN_IF_ERROR(
        SetNetSetting(lease.gateway.family == AF_INET ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding", "1"));
  }
  return absl::OkStatus();
}

// Name servers and the like: the network's, else those of IPAM.
absl::StatusOr<nlohmann::json> Dns(const PluginCall& call, const BridgeConfig& config) {
  ASSIGN_OR_RETURN(nlohmann::json dns, ObjectField(call.config, "dns"));
  if (!dns.empty() || !config.ipam.has_value()) return dns;
  const auto set = [&dns](const char* key, const std::vector<std::string>& values) {
    if (!values.empty()) dns[key] = values;
  };
  set("nameservers", config.ipam->dns_servers);
  set("search", config.ipam->dns_searches);
  set("options", config.ipam->dns_options);
  if (!config.ipam->dns_domain.empty()) dns["domain"] = config.ipam->dns_domain;
  return dns;
}

absl::StatusOr<std::string> Result(const PluginCall& call, const BridgeConfig& config, const LinkInfo& bridge,
                                   const VethSpec& veth, const std::vector<Lease>& leases,
                                   const std::vector<IpRoute>& routes) {
  ASSIGN_OR_RETURN(const std::string version, StringField(call.config, "cniVersion", ""));
  nlohmann::json result = {{"cniVersion", version}};
  result["interfaces"] = {{{"name", bridge.name}, {"mac", bridge.mac}},
                          {{"name", veth.host_name}, {"mac", veth.host_mac}},
                          {{"name", veth.pod_name}, {"mac", veth.pod_mac}, {"sandbox", call.netns}}};
  const bool says_version = version < "1";  // 0.3.0 to 0.4.0
  for (const Lease& lease : leases) {
    nlohmann::json ip = {{"interface", kPodInterfaceIndex},
                         {"address", lease.address.ToString()},
                         {"gateway", lease.gateway.ToString()}};
    if (says_version) ip["version"] = lease.gateway.family == AF_INET ? "4" : "6";
    result["ips"].push_back(std::move(ip));
  }
  for (const IpRoute& route : routes) {
    nlohmann::json entry = {{"dst", route.destination.ToString()}};
    if (route.gateway.has_value()) entry["gw"] = route.gateway->ToString();
    result["routes"].push_back(std::move(entry));
  }
  ASSIGN_OR_RETURN(result["dns"], Dns(call, config));
  return PrintJson(result);
}

absl::Status ConfigureInPod(const PluginCall& call, const std::vector<Lease>& leases,
                            const std::vector<IpRoute>& routes) {
  std::vector<IpNetwork> addresses;
  std::vector<IpAddress> gateways;
  for (const Lease& lease : leases) {
    addresses.push_back(lease.address);
    gateways.push_back(lease.gateway);
  }
  return RunInNamespace(call.netns, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    return ConfigurePodLink(netlink, call.id.interface, addresses, gateways, routes);
  });
}

}  // namespace

std::vector<NatRule> MasqueradeRules(const std::vector<Lease>& leases) {
  std::vector<NatRule> rules;
  for (const Lease& lease : leases) {
    if (!lease.masquerade) continue;
    NatRule rule;
    rule.pod = lease.address.address;
    rule.subnet = {lease.address.First(), lease.address.prefix};
    rules.push_back(rule);
  }
  return rules;
}

bool BridgePlugin::IsEnding(const AttachmentId& id) {
  const absl::MutexLock lock(&mu_);
  return ending_.count(id) > 0;
}

absl::StatusOr<std::vector<Lease>> BridgePlugin::Allocate(const AttachmentId& id, const BridgeConfig& config) {
  if (!config.ipam.has_value()) return std::vector<Lease>();
  absl::StatusOr<std::vector<Lease>> leases = pool_.Allocate(id, *config.ipam, config.ip_masq);
  if (!absl::IsResourceExhausted(leases.status())) return leases;
  // Some may be free in a moment.
  background_.AwaitIdle(absl::Now() + kEndingBudget);
  return pool_.Allocate(id, *config.ipam, config.ip_masq);
}

absl::StatusOr<std::string> BridgePlugin::Add(const PluginCall& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ParseBridgeConfig(call.config, call.cni_args));
  if (IsEnding(call.id)) background_.AwaitIdle(absl::Now() + kEndingBudget);
  ASSIGN_OR_RETURN(const std::vector<Lease> leases, Allocate(call.id, config));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const LinkInfo bridge, EnsureBridge(netlink, config.bridge, config.mtu,
                                                       config.promiscuous ? Promiscuity::kOn : Promiscuity::kOff));
  const UniqueFd netns(::open(call.netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns.ok()) return ErrnoStatus(errno, absl::StrCat("open network namespace ", call.netns));
  VethSpec veth;
  veth.host_name = HostLinkName(call.id);
  veth.pod_name = call.id.interface;
  veth.host_mac = MacFor(0x0e, call.id, leases);
  veth.pod_mac = config.mac.empty() ? MacFor(0x0a, call.id, leases) : config.mac;
  veth.mtu = config.mtu;
  veth.bridge_index = bridge.index;
  veth.hairpin = config.hairpin;
  veth.pod_netns = netns.get();
  RETURN_IF_ERROR(AddVeth(netlink, veth));
  const std::vector<IpRoute> routes = Routes(config, leases);
  // First the host's part: with the pod's link the kernel begins to send.
  if (config.is_gateway) RETURN_IF_ERROR(BecomeGateway(netlink, bridge, config, leases));
  RETURN_IF_ERROR(nat_.Add(MasqueradeRules(leases)));
  RETURN_IF_ERROR(ConfigureInPod(call, leases, routes));
  return Result(call, config, bridge, veth, leases, routes);
}

absl::Status BridgePlugin::Del(const PluginCall& call) {
  RETURN_IF_ERROR(nat_.Remove(MasqueradeRules(pool_.LeasesOf(call.id))));
  Forget(call.id);
  return absl::OkStatus();
}

void BridgePlugin::Forget(const AttachmentId& id) {
  {
    const absl::MutexLock lock(&mu_);
    ending_.insert(id);
  }
  background_.Run([this, id] {
    absl::StatusOr<Netlink> netlink = Netlink::Open();
    absl::Status status = netlink.status();
    if (status.ok()) status = netlink->DeleteLink(HostLinkName(id));
    if (status.ok()) status = pool_.Release(id);
    if (!status.ok())
      spdlog::warn("network of {} is removed when the daemon starts next: {}", id.ToString(), status.ToString());
    const absl::MutexLock lock(&mu_);
    ending_.erase(ending_.find(id));
  });
}

absl::Status BridgePlugin::Check(const PluginCall& call) {
  ASSIGN_OR_RETURN(const BridgeConfig config, ParseBridgeConfig(call.config, call.cni_args));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  RETURN_IF_ERROR(netlink.FindLink(config.bridge).status());
  RETURN_IF_ERROR(netlink.FindLink(HostLinkName(call.id)).status());
  const std::vector<Lease> leases = pool_.LeasesOf(call.id);
  RETURN_IF_ERROR(nat_.Check(MasqueradeRules(leases)));
  return RunInNamespace(call.netns, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink pod, Netlink::Open());
    ASSIGN_OR_RETURN(const LinkInfo link, pod.FindLink(call.id.interface));
    ASSIGN_OR_RETURN(const std::vector<AddressInfo> addresses, pod.Addresses(link.index));
    for (const Lease& lease : leases) {
      const bool there = std::any_of(addresses.begin(), addresses.end(), [&lease](const AddressInfo& info) {
        return info.address == lease.address.ToString();
      });
      if (!there)
        return absl::NotFoundError(absl::StrCat("link ", link.name, " lacks address ", lease.address.ToString()));
    }
    return absl::OkStatus();
  });
}

}  // namespace podvisor
