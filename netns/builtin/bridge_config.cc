#include "netns/builtin/bridge_config.h"

#include <linux/if.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "netns/builtin/config_reader.h"

namespace podvisor {
namespace {

constexpr int64_t kMaxMtu = 65535;

// Taken for done, each of these would make a network other than the one that was asked for.
absl::Status RefuseWhatIsNotDone(const nlohmann::json& config) {
  for (const char* key : {"vlan", "vlanTrunk", "macspoofchk", "enabledad", "portIsolation"}) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null() || *found == 0 || *found == false ||
        (found->is_array() && found->empty()))
      continue;
    return absl::FailedPreconditionError(absl::StrCat("the built-in bridge does not do \"", key,
                                                      "\": remove it, or set cni.builtin: false to run the program"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> RequestedMac(const nlohmann::json& config, const std::string& cni_args) {
  ASSIGN_OR_RETURN(const nlohmann::json runtime, ObjectField(config, "runtimeConfig"));
  ASSIGN_OR_RETURN(std::string mac, StringField(runtime, "mac", ""));
  if (!mac.empty()) return mac;
  ASSIGN_OR_RETURN(const nlohmann::json args, ObjectField(config, "args"));
  ASSIGN_OR_RETURN(const nlohmann::json cni, ObjectField(args, "cni"));
  ASSIGN_OR_RETURN(mac, StringField(cni, "mac", ""));
  for (absl::string_view pair : absl::StrSplit(cni_args, ';'))
    if (mac.empty() && absl::ConsumePrefix(&pair, "MAC=")) mac = std::string(pair);
  return mac;
}

}  // namespace

absl::StatusOr<BridgeConfig> ParseBridgeConfig(const nlohmann::json& config, const std::string& cni_args) {
  RETURN_IF_ERROR(RefuseWhatIsNotDone(config));
  BridgeConfig bridge;
  ASSIGN_OR_RETURN(bridge.bridge, StringField(config, "bridge", bridge.bridge));
  if (bridge.bridge.empty() || bridge.bridge.size() >= IFNAMSIZ ||
      bridge.bridge.find_first_of("/: \t\n") != std::string::npos || bridge.bridge[0] == '.')
    return absl::FailedPreconditionError(absl::StrCat("\"bridge\" is \"", bridge.bridge, "\", no name of a link"));
  ASSIGN_OR_RETURN(bridge.is_default_gateway, BoolField(config, "isDefaultGateway", false));
  ASSIGN_OR_RETURN(bridge.is_gateway, BoolField(config, "isGateway", false));
  bridge.is_gateway = bridge.is_gateway || bridge.is_default_gateway;
  ASSIGN_OR_RETURN(bridge.force_address, BoolField(config, "forceAddress", false));
  ASSIGN_OR_RETURN(bridge.ip_masq, BoolField(config, "ipMasq", false));
  ASSIGN_OR_RETURN(bridge.hairpin, BoolField(config, "hairpinMode", false));
  ASSIGN_OR_RETURN(bridge.promiscuous, BoolField(config, "promiscMode", false));
  if (bridge.hairpin && bridge.promiscuous)
    return absl::FailedPreconditionError("\"hairpinMode\" and \"promiscMode\" exclude each other");
  ASSIGN_OR_RETURN(const int64_t mtu, IntField(config, "mtu", 0));
  if (mtu < 0 || mtu > kMaxMtu) return absl::FailedPreconditionError(absl::StrCat("\"mtu\" is ", mtu));
  bridge.mtu = static_cast<uint32_t>(mtu);
  ASSIGN_OR_RETURN(bridge.mac, RequestedMac(config, cni_args));
  ASSIGN_OR_RETURN(const nlohmann::json ipam, ObjectField(config, "ipam"));
  ASSIGN_OR_RETURN(const std::string ipam_type, StringField(ipam, "type", ""));
  if (!ipam_type.empty()) {
    ASSIGN_OR_RETURN(bridge.ipam, ParseIpamConfig(config, cni_args));
  }
  return bridge;
}

}  // namespace podvisor
