#include "netns/cni_versions.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "netns/cni_json.h"
#include "netns/cni_plugin.h"

namespace podvisor {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

std::vector<std::string> ParseVersions(const std::string& text) {
  std::vector<std::string> versions;
  const absl::StatusOr<nlohmann::json> json = ParseJsonObject(text);
  if (!json.ok()) return versions;
  const auto list = json->find("supportedVersions");
  if (list == json->end() || !list->is_array()) return versions;
  for (const nlohmann::json& version : *list)
    if (version.is_string()) versions.push_back(version.get<std::string>());
  return versions;
}

}  // namespace

std::vector<std::string> CniVersions::Versions(const std::string& type, const std::string& path,
                                               const std::vector<std::string>& bin_dirs) {
  Program program;
  if (struct stat info; ::stat(path.c_str(), &info) == 0)
    program = {info.st_ino, info.st_size, info.st_ctim.tv_sec * 1000000000LL + info.st_ctim.tv_nsec};
  {
    const absl::MutexLock lock(&mu_);
    const auto found = known_.find(path);
    if (found != known_.end() && found->second.first == program) return found->second.second;
  }
  // SPEC.md, section 2, VERSION: "cniVersion" alone as input.
  CniEnvironment environment;
  environment.bin_dirs = bin_dirs;
  const absl::StatusOr<std::string> answer =
      RunCniPlugin(type, "VERSION", environment, R"({"cniVersion":"1.0.0"})", absl::Now() + kPatience);
  std::vector<std::string> versions = ParseVersions(answer.value_or(""));
  const absl::MutexLock lock(&mu_);
  known_[path] = {program, versions};
  return versions;
}

absl::Status CniVersions::Check(const CniNetworkConfig& network, const std::vector<std::string>& bin_dirs) {
  for (const CniPluginConfig& plugin : network.plugins) {
    const std::string where = absl::StrCat("CNI network ", network.name, " (", network.file, ")");
    ASSIGN_OR_RETURN(const std::string path, FindCniPlugin(plugin.type, bin_dirs), where);
    const std::vector<std::string> versions = Versions(plugin.type, path, bin_dirs);
    if (versions.empty() || std::find(versions.begin(), versions.end(), network.cni_version) != versions.end())
      continue;
    return absl::FailedPreconditionError(absl::StrCat(where, " has version ", network.cni_version, ", and plugin ",
                                                      path, " speaks ", absl::StrJoin(versions, ", "),
                                                      ": lower the former or renew the latter"));
  }
  return absl::OkStatus();
}

}  // namespace podvisor
