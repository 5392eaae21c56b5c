// The "ipam" object of type host-local:
// https://github.com/containernetworking/plugins/tree/main/plugins/ipam/host-local
#ifndef PODVISOR_NETNS_BUILTIN_IPAM_CONFIG_H_
#define PODVISOR_NETNS_BUILTIN_IPAM_CONFIG_H_

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "netns/builtin/ip.h"

namespace podvisor {

struct IpRange {
  IpNetwork subnet;
  IpAddress start, end;  // both may be given away
  IpAddress gateway;     // never is
};

struct IpRoute {
  IpNetwork destination;
  std::optional<IpAddress> gateway;
};

struct IpamConfig {
  std::string data_dir;                          // reservations are files DIR/NETWORK/ADDRESS
  std::vector<std::vector<IpRange>> range_sets;  // a pod gets one address of each
  std::vector<IpRoute> routes;
  std::vector<std::string> dns_servers, dns_searches, dns_options;  // of the file "resolvConf"
  std::string dns_domain;
  std::vector<IpAddress> requested;  // addresses that the pod asks for
};

// `config` is the plugin's whole input, with runtimeConfig and args; `cni_args` is CNI_ARGS. kFailedPrecondition says
// what is wrong.
absl::StatusOr<IpamConfig> ParseIpamConfig(const nlohmann::json& config, const std::string& cni_args);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_IPAM_CONFIG_H_
