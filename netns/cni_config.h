// CNI network configurations: https://github.com/containernetworking/cni/blob/main/SPEC.md, section 1.
#ifndef PODVISOR_NETNS_CNI_CONFIG_H_
#define PODVISOR_NETNS_CNI_CONFIG_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

struct CniPluginConfig {
  std::string type;                    // the name of its program
  std::string json;                    // its object, as the file has it
  std::set<std::string> capabilities;  // those it declares true
};

struct CniNetworkConfig {
  std::string name;
  std::string cni_version;
  std::string file;  // where it came from, for errors
  std::string text;  // the file's content
  std::vector<CniPluginConfig> plugins;
};

// A network list ("plugins") or a single plugin's configuration ("type"). kInvalidArgument says what is wrong. Versions
// 0.3.0 to 1.1.0; of a list's "cniVersions" the highest of these.
absl::StatusOr<CniNetworkConfig> ParseCniConfig(absl::string_view text, const std::string& file);

bool IsSupportedCniVersion(absl::string_view version);

struct CniConfigChoice {
  CniNetworkConfig network;
  std::vector<std::string> skipped;  // "FILE: why", files before the chosen one that are invalid
};

// The first valid *.conf, *.conflist or *.json by name. kFailedPrecondition names the folder, and each file with what
// is wrong with it.
absl::StatusOr<CniConfigChoice> ChooseCniConfig(const std::string& folder);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_CONFIG_H_
