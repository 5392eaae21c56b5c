// The configuration of plugin bridge: https://www.cni.dev/plugins/current/main/bridge/
#ifndef PODVISOR_NETNS_BUILTIN_BRIDGE_CONFIG_H_
#define PODVISOR_NETNS_BUILTIN_BRIDGE_CONFIG_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "netns/builtin/ipam_config.h"

namespace podvisor {

struct BridgeConfig {
  std::string bridge = "cni0";
  bool is_gateway = false;
  bool is_default_gateway = false;
  bool force_address = false;
  bool ip_masq = false;
  bool hairpin = false;
  bool promiscuous = false;
  uint32_t mtu = 0;                // 0: the kernel's default
  std::string mac;                 // that the pod asks for; empty: made from its address
  std::optional<IpamConfig> ipam;  // none: the pod gets no address
};

// kFailedPrecondition names the field that is wrong, or that this version does not do (vlan and the like).
absl::StatusOr<BridgeConfig> ParseBridgeConfig(const nlohmann::json& config, const std::string& cni_args);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_BRIDGE_CONFIG_H_
