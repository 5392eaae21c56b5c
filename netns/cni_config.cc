#include "netns/cni_config.h"

#include <dirent.h>
#include <errno.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "netns/cni_json.h"

namespace podvisor {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
// In ascending order.
constexpr absl::string_view kVersions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

absl::Status CheckName(const std::string& name) {
  // As libcni 1.0 has it; a file's name is made of it by IPAM plugins.
  const bool good = !name.empty() && absl::ascii_isalnum(static_cast<unsigned char>(name[0])) &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
                    });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"name\" is \"", name, "\": letters, digits, and _ . - inside it are allowed"));
}

absl::StatusOr<std::string> ChooseVersion(const nlohmann::json& network) {
  ASSIGN_OR_RETURN(std::string version, StringMember(network, "cniVersion"));
  if (const auto list = network.find("cniVersions"); list != network.end() && list->is_array()) {
    size_t best = 0;
    for (const auto& offered : *list) {
      const auto* found = std::find(std::begin(kVersions), std::end(kVersions),
                                    offered.is_string() ? offered.get<std::string>() : std::string());
      if (found != std::end(kVersions)) best = std::max<size_t>(best, found - kVersions + 1);
    }
    if (best > 0) return std::string(kVersions[best - 1]);
  }
  if (IsSupportedCniVersion(version)) return version;
  return absl::InvalidArgumentError(absl::StrCat(version.empty()
                                                     ? std::string("\"cniVersion\" is missing, which means 0.1.0")
                                                     : absl::StrCat("\"cniVersion\" is ", version),
                                                 ": supported are ", absl::StrJoin(kVersions, ", ")));
}

absl::StatusOr<CniPluginConfig> ParsePlugin(const nlohmann::json& plugin) {
  if (!plugin.is_object()) return absl::InvalidArgumentError("it is no object");
  CniPluginConfig config;
  ASSIGN_OR_RETURN(config.type, StringMember(plugin, "type"));
  if (config.type.empty()) return absl::InvalidArgumentError("\"type\" is missing");
  if (absl::StrContains(config.type, '/') || config.type[0] == '.' || absl::StrContains(config.type, '\0'))
    return absl::InvalidArgumentError(absl::StrCat("\"type\" is \"", config.type, "\", no name of a program"));
  if (const auto capabilities = plugin.find("capabilities"); capabilities != plugin.end()) {
    if (!capabilities->is_object()) return absl::InvalidArgumentError("\"capabilities\" is no object");
    for (const auto& [name, value] : capabilities->items())
      if (value.is_boolean() && value.get<bool>()) config.capabilities.insert(name);
  }
  config.json = PrintJson(plugin);
  return config;
}

absl::StatusOr<std::vector<std::string>> ConfigFiles(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (dir == nullptr)
    return absl::FailedPreconditionError(
        absl::StrCat("CNI configuration folder: ", ErrnoStatus(errno, folder).message(),
                     ": put a *.conflist file there, or install a network add-on"));
  std::vector<std::string> files;
  while (const dirent* entry = ::readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    if (absl::EndsWith(name, ".conf") || absl::EndsWith(name, ".conflist") || absl::EndsWith(name, ".json"))
      files.push_back(absl::StrCat(folder, "/", name));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool IsSupportedCniVersion(absl::string_view version) {
  return std::find(std::begin(kVersions), std::end(kVersions), version) != std::end(kVersions);
}

absl::StatusOr<CniNetworkConfig> ParseCniConfig(absl::string_view text, const std::string& file) {
  ASSIGN_OR_RETURN(const nlohmann::json network, ParseJsonObject(text));
  CniNetworkConfig config;
  config.file = file;
  config.text = std::string(text);
  ASSIGN_OR_RETURN(config.name, StringMember(network, "name"));
  RETURN_IF_ERROR(CheckName(config.name));
  ASSIGN_OR_RETURN(config.cni_version, ChooseVersion(network));
  const auto plugins = network.find("plugins");
  if (plugins == network.end()) {
    ASSIGN_OR_RETURN(CniPluginConfig plugin, ParsePlugin(network));
    config.plugins.push_back(std::move(plugin));
    return config;
  }
  if (!plugins->is_array() || plugins->empty())
    return absl::InvalidArgumentError("\"plugins\" is no list with at least one plugin");
  for (size_t i = 0; i < plugins->size(); ++i) {
    ASSIGN_OR_RETURN(CniPluginConfig plugin, ParsePlugin((*plugins)[i]), "plugin ", i + 1);
    config.plugins.push_back(std::move(plugin));
  }
  return config;
}

absl::StatusOr<CniConfigChoice> ChooseCniConfig(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> files, ConfigFiles(folder));
  CniConfigChoice choice;
  for (const std::string& file : files) {
    absl::StatusOr<std::string> text = ReadFile(file, kMaxFileBytes);
    absl::StatusOr<CniNetworkConfig> network = text.ok() ? ParseCniConfig(*text, file) : text.status();
    if (network.ok()) {
      choice.network = *std::move(network);
      return choice;
    }
    // The reader's error names the file already.
    choice.skipped.push_back(text.ok() ? absl::StrCat(file, ": ", network.status().message())
                                       : std::string(text.status().message()));
  }
  if (choice.skipped.empty())
    return absl::FailedPreconditionError(absl::StrCat("no CNI network: no *.conf, *.conflist or *.json file in ",
                                                      folder, ": put one there, or install a network add-on"));
  return absl::FailedPreconditionError(
      absl::StrCat("no valid CNI network in ", folder, ": ", absl::StrJoin(choice.skipped, "; ")));
}

}  // namespace podvisor
