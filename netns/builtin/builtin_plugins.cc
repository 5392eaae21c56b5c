#include "netns/builtin/builtin_plugins.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "netns/builtin/address_pool.h"
#include "netns/builtin/bridge.h"
#include "netns/builtin/config_reader.h"
#include "netns/builtin/nat_table.h"
#include "netns/builtin/plugin_call.h"
#include "netns/builtin/port_map.h"
#include "netns/cni_json.h"
#include "netns/namespace.h"
#include "netns/netlink.h"

namespace podvisor {
namespace {

constexpr char kBridge[] = "bridge";
constexpr char kPortMap[] = "portmap";
constexpr char kLoopback[] = "loopback";

// FNV-1a, 64 bits: short enough for a table's name, and the same in every process.
std::string TableName(const std::string& owner) {
  uint64_t hash = 14695981039346656037ull;
  for (const unsigned char byte : owner) hash = (hash ^ byte) * 1099511628211ull;
  return absl::StrFormat("podvisor_%016x", hash);
}

absl::StatusOr<std::string> AddLoopback(const PluginCall& call) {
  RETURN_IF_ERROR(RunInNamespace(call.netns, [&call]() -> absl::Status {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
    return netlink.SetLinkUp("lo");
  }));
  ASSIGN_OR_RETURN(nlohmann::json result, ObjectField(call.config, "prevResult"));
  if (!result.empty()) return PrintJson(result);
  ASSIGN_OR_RETURN(const std::string version, StringField(call.config, "cniVersion", ""));
  result = {{"cniVersion", version}, {"interfaces", {{{"name", "lo"}, {"sandbox", call.netns}}}}};
  for (const auto& [address, family] : {std::pair("127.0.0.1/8", "4"), std::pair("::1/128", "6")}) {
    nlohmann::json ip = {{"interface", 0}, {"address", address}};
    if (version < "1") ip["version"] = family;
    result["ips"].push_back(std::move(ip));
  }
  return PrintJson(result);
}

class BuiltinPlugins : public CniBuiltins {
 public:
  BuiltinPlugins(std::unique_ptr<AddressPool> pool, std::unique_ptr<NatTable> nat,
                 std::unique_ptr<PortMapPlugin> port_map, Background& background)
      : pool_(std::move(pool)),
        nat_(std::move(nat)),
        port_map_(std::move(port_map)),
        bridge_(*pool_, *nat_, background) {}

  bool Has(const CniPluginConfig& plugin) const override;
  absl::StatusOr<std::string> Run(const std::string& type, const std::string& command,
                                  const CniEnvironment& environment, const std::string& config) override;

  absl::Status Recover(const IsOwed& is_owed);

 private:
  absl::StatusOr<std::string> Add(const std::string& type, const PluginCall& call);
  absl::Status Del(const std::string& type, const PluginCall& call);
  absl::Status Check(const std::string& type, const PluginCall& call);

  const std::unique_ptr<AddressPool> pool_;
  const std::unique_ptr<NatTable> nat_;
  const std::unique_ptr<PortMapPlugin> port_map_;
  BridgePlugin bridge_;
};

// With another IPAM than host-local the whole of bridge is left to the programs.
bool BuiltinPlugins::Has(const CniPluginConfig& plugin) const {
  if (plugin.type != kBridge) return plugin.type == kPortMap || plugin.type == kLoopback;
  const absl::StatusOr<nlohmann::json> config = ParseJsonObject(plugin.json);
  if (!config.ok()) return false;
  const absl::StatusOr<nlohmann::json> ipam = ObjectField(*config, "ipam");
  if (!ipam.ok()) return true;  // for the error
  const absl::StatusOr<std::string> type = StringField(*ipam, "type", "");
  return !type.ok() || type->empty() || *type == "host-local";
}

absl::StatusOr<std::string> BuiltinPlugins::Add(const std::string& type, const PluginCall& call) {
  if (type == kBridge) return bridge_.Add(call);
  if (type == kPortMap) return port_map_->Add(call);
  return AddLoopback(call);
}

absl::Status BuiltinPlugins::Del(const std::string& type, const PluginCall& call) {
  if (type == kBridge) return bridge_.Del(call);
  if (type == kPortMap) return port_map_->Del(call.id);
  return absl::OkStatus();  // lo goes with the namespace
}

absl::Status BuiltinPlugins::Check(const std::string& type, const PluginCall& call) {
  if (type == kBridge) return bridge_.Check(call);
  if (type == kPortMap) return port_map_->Check(call.id);
  return absl::OkStatus();
}

absl::StatusOr<std::string> BuiltinPlugins::Run(const std::string& type, const std::string& command,
                                                const CniEnvironment& environment, const std::string& config) {
  const std::string what = absl::StrCat("built-in CNI plugin ", type, " ", command);
  PluginCall call;
  ASSIGN_OR_RETURN(call.config, ParseJsonObject(config), what);
  ASSIGN_OR_RETURN(const std::string network, StringField(call.config, "name", ""), what);
  call.id = {network, environment.container_id, environment.interface};
  call.netns = environment.netns;
  call.cni_args = environment.args;
  if (command == "ADD") {
    ASSIGN_OR_RETURN(std::string result, Add(type, call), what);
    return result;
  }
  if (command == "DEL") {
    RETURN_IF_ERROR(Del(type, call), what);
    return std::string();
  }
  // What is missing is damage; kNotFound would say that there was no set-up.
  if (const absl::Status status = Check(type, call); !status.ok())
    return absl::InternalError(absl::StrCat(what, ": ", status.message()));
  return std::string();
}

absl::Status BuiltinPlugins::Recover(const IsOwed& is_owed) {
  std::set<NatRule> rules;
  for (const auto& [id, leases] : pool_->All()) {
    if (!is_owed(id.container, id.interface)) {
      bridge_.Forget(id);
      continue;
    }
    const std::vector<NatRule> some = MasqueradeRules(leases);
    rules.insert(some.begin(), some.end());
  }
  for (const auto& [id, some] : port_map_->All()) {
    if (is_owed(id.container, id.interface))
      rules.insert(some.begin(), some.end());
    else
      RETURN_IF_ERROR(port_map_->Forget(id));
  }
  return nat_->Set(std::move(rules));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CniBuiltins>> OpenCniBuiltins(StateDb& db, Background& background,
                                                             const std::string& owner, const IsOwed& is_owed) {
  ASSIGN_OR_RETURN(std::unique_ptr<AddressPool> pool, AddressPool::Open(db));
  ASSIGN_OR_RETURN(std::unique_ptr<NatTable> nat, NatTable::Open(TableName(owner)));
  ASSIGN_OR_RETURN(std::unique_ptr<PortMapPlugin> port_map, PortMapPlugin::Open(db, *nat));
  auto builtins = std::make_unique<BuiltinPlugins>(std::move(pool), std::move(nat), std::move(port_map), background);
  RETURN_IF_ERROR(builtins->Recover(is_owed), "built-in network");
  return builtins;
}

}  // namespace podvisor
