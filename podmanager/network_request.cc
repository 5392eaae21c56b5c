#include "podmanager/network_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace podvisor {

namespace {

const char* ProtocolName(PortMappingConfig::Protocol protocol) {
  switch (protocol) {
    case PortMappingConfig::UDP:
      return "udp";
    case PortMappingConfig::SCTP:
      return "sctp";
    default:
      return "tcp";
  }
}

uint64_t Bandwidth(const SandboxConfig& config, const char* annotation) {
  auto it = config.annotations().find(annotation);
  if (it == config.annotations().end()) return 0;
  return ParseBandwidth(it->second).value_or(0);
}

}  // namespace

absl::StatusOr<uint64_t> ParseBandwidth(const std::string& quantity) {
  static constexpr std::pair<absl::string_view, double> kSuffixes[] = {
      {"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {"Ti", 1099511627776.0}, {"k", 1e3}, {"M", 1e6},
      {"G", 1e9},     {"T", 1e12},       {"P", 1e15},
  };
  absl::string_view number = quantity;
  double factor = 1;
  for (const auto& [suffix, value] : kSuffixes) {
    if (absl::ConsumeSuffix(&number, suffix)) {
      factor = value;
      break;
    }
  }
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !(value * factor >= 1e3) || !(value * factor <= 1e15)) {
    return absl::InvalidArgumentError(
        absl::StrCat("bandwidth \"", quantity, "\": is no quantity between 1k and 1P bits per second"));
  }
  return static_cast<uint64_t>(value * factor);
}

NetworkRequest MakeNetworkRequest(const std::string& sandbox_id, const SandboxConfig& config,
                                  const std::string& netns_path) {
  NetworkRequest request;
  request.sandbox_id = sandbox_id;
  request.pod_namespace = config.metadata().namespace_();
  request.pod_name = config.metadata().name();
  request.pod_uid = config.metadata().uid();
  request.netns_path = netns_path;
  for (const PortMappingConfig& mapping : config.port_mappings()) {
    if (mapping.host_port() == 0) continue;
    request.port_mappings.push_back({.protocol = ProtocolName(mapping.protocol()),
                                     .container_port = static_cast<uint16_t>(mapping.container_port()),
                                     .host_port = static_cast<uint16_t>(mapping.host_port()),
                                     .host_ip = mapping.host_ip()});
  }
  request.ingress_bits_per_second = Bandwidth(config, "kubernetes.io/ingress-bandwidth");
  request.egress_bits_per_second = Bandwidth(config, "kubernetes.io/egress-bandwidth");
  request.cgroup_path = config.cgroup_parent();
  request.dns_servers.assign(config.dns().servers().begin(), config.dns().servers().end());
  request.dns_searches.assign(config.dns().searches().begin(), config.dns().searches().end());
  request.dns_options.assign(config.dns().options().begin(), config.dns().options().end());
  request.annotations = {config.annotations().begin(), config.annotations().end()};
  return request;
}

}  // namespace podvisor
