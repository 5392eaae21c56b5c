#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/probes.h"

namespace podvisor::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kConfigure[] =
    "put a CNI configuration there; your cluster's network add-on does it, or see tools/quickstart for one on a bridge";

// The types of the plugins that a network needs, address management included.
std::set<std::string> PluginTypes(const json& network) {
  std::set<std::string> types;
  const json plugins = network.contains("plugins") ? network["plugins"] : json::array({network});
  for (const json& plugin : plugins) {
    if (!plugin.is_object()) continue;
    if (plugin.contains("type") && plugin["type"].is_string()) types.insert(plugin["type"].get<std::string>());
    if (plugin.contains("ipam") && plugin["ipam"].is_object() && plugin["ipam"].contains("type") &&
        plugin["ipam"]["type"].is_string())
      types.insert(plugin["ipam"]["type"].get<std::string>());
  }
  return types;
}

bool IsInstalled(const std::string& plugin, const std::vector<std::string>& folders) {
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return ::access(absl::StrCat(folder, "/", plugin).c_str(), X_OK) == 0;
  });
}

}  // namespace

std::vector<Finding> ProbeNetwork(const CheckedConfig& config) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config.cni_conf_dir, error)) {
    const std::string extension = entry.path().extension();
    if (extension == ".conf" || extension == ".conflist" || extension == ".json") files.push_back(entry.path());
  }
  if (files.empty())
    return {{"CNI network", Verdict::kMissing, absl::StrCat("no configuration in ", config.cni_conf_dir), kConfigure}};
  std::sort(files.begin(), files.end());

  std::ifstream in(files.front());
  const json network = json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!network.is_object())
    return {{"CNI network", Verdict::kMissing, absl::StrCat(files.front().string(), " is no JSON object"), kConfigure}};
  const std::string name =
      network.contains("name") && network["name"].is_string() ? network["name"].get<std::string>() : "?";
  std::vector<Finding> findings = {
      {"CNI network", Verdict::kGood, absl::StrCat(name, " (", files.front().string(), ")"), ""}};
  std::vector<std::string> missing;
  const std::set<std::string> types = PluginTypes(network);
  for (const std::string& type : types)
    if (!IsInstalled(type, config.cni_bin_dirs)) missing.push_back(type);
  if (missing.empty())
    findings.push_back({"CNI plugins", Verdict::kGood, absl::StrJoin(types, ", "), ""});
  else
    findings.push_back(
        {"CNI plugins", Verdict::kMissing,
         absl::StrCat(absl::StrJoin(missing, ", "), " not in ", absl::StrJoin(config.cni_bin_dirs, ", ")),
         "apt-get install containernetworking-plugins, or set network.cni_bin_dirs"});
  return findings;
}

}  // namespace podvisor::cli
