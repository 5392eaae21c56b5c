#include "netns/cni_network.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "netns/cni_json.h"
#include "netns/cni_result.h"

namespace podvisor {
namespace {

// Results are for ADD's successors in every version, for DEL and CHECK since 0.4.0.
bool TakesPreviousResult(const CniNetworkConfig& network, absl::string_view command) {
  return command == "ADD" || (network.cni_version != "0.3.0" && network.cni_version != "0.3.1");
}

absl::StatusOr<std::string> PluginInput(const CniAttachment& attachment, const CniPluginConfig& plugin,
                                        absl::string_view command) {
  ASSIGN_OR_RETURN(nlohmann::json config, ParseJsonObject(plugin.json));
  ASSIGN_OR_RETURN(const nlohmann::json capability_args, ParseJsonObject(attachment.capability_args));
  config["name"] = attachment.network.name;
  config["cniVersion"] = attachment.network.cni_version;
  nlohmann::json runtime_config = nlohmann::json::object();
  for (const std::string& capability : plugin.capabilities)
    if (const auto value = capability_args.find(capability); value != capability_args.end())
      runtime_config[capability] = *value;
  if (!runtime_config.empty()) config["runtimeConfig"] = std::move(runtime_config);
  if (!attachment.result.empty() && TakesPreviousResult(attachment.network, command)) {
    ASSIGN_OR_RETURN(config["prevResult"], ParseJsonObject(attachment.result), "previous result");
  }
  return PrintJson(config);
}

absl::StatusOr<std::string> RunPlugin(const CniAttachment& attachment, const CniPluginConfig& plugin,
                                      const std::string& command, CniDeadline deadline) {
  ASSIGN_OR_RETURN(const std::string input, PluginInput(attachment, plugin, command), "CNI plugin ", plugin.type);
  if (attachment.builtins != nullptr && attachment.builtins->Has(plugin))
    return attachment.builtins->Run(plugin.type, command, attachment.environment, input);
  return RunCniPlugin(plugin.type, command, attachment.environment, input,
                      std::min(deadline.all, absl::Now() + deadline.per_plugin));
}

std::string NetworkText(const CniAttachment& attachment) {
  return absl::StrCat("CNI network ", attachment.network.name);
}

}  // namespace

absl::Status CniAdd(CniAttachment& attachment, CniDeadline deadline) {
  attachment.result.clear();
  for (const CniPluginConfig& plugin : attachment.network.plugins) {
    ASSIGN_OR_RETURN(std::string result, RunPlugin(attachment, plugin, "ADD", deadline), NetworkText(attachment));
    const absl::StatusOr<CniResult> parsed = ParseCniResult(result, attachment.environment.interface);
    // Not the caller's argument that is invalid.
    if (!parsed.ok())
      return absl::InternalError(absl::StrCat(NetworkText(attachment), ": CNI plugin ", plugin.type,
                                              " ADD: its result is unusable: ", parsed.status().message()));
    attachment.result = std::move(result);
  }
  return absl::OkStatus();
}

absl::Status CniDel(const CniAttachment& attachment, CniDeadline deadline) {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> failures;
  for (auto plugin = attachment.network.plugins.rbegin(); plugin != attachment.network.plugins.rend(); ++plugin) {
    const absl::Status status = RunPlugin(attachment, *plugin, "DEL", deadline).status();
    if (status.ok()) continue;
    code = status.code();
    failures.emplace_back(status.message());
  }
  if (failures.empty()) return absl::OkStatus();
  return absl::Status(code, absl::StrCat(NetworkText(attachment), ": ", absl::StrJoin(failures, "; ")));
}

absl::Status CniCheck(const CniAttachment& attachment, CniDeadline deadline) {
  if (!TakesPreviousResult(attachment.network, "CHECK")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const nlohmann::json network, ParseJsonObject(attachment.network.text));
  const auto disabled = network.find("disableCheck");
  if (disabled != network.end() && disabled->is_boolean() && disabled->get<bool>()) return absl::OkStatus();
  for (const CniPluginConfig& plugin : attachment.network.plugins)
    RETURN_IF_ERROR(RunPlugin(attachment, plugin, "CHECK", deadline).status(), NetworkText(attachment));
  return absl::OkStatus();
}

}  // namespace podvisor
