// What CNI plugins print, and what stands in their configurations.
#include <nlohmann/json.hpp>
#include <string>

#include "base/testing/fuzz_input.h"
#include "netns/cni_config.h"
#include "netns/cni_json.h"
#include "netns/cni_result.h"

namespace podvisor {
namespace {

// They become lines of resolv.conf.
void CheckLines(const std::vector<std::string>& lines) {
  for (const std::string& line : lines)
    Require(line.find_first_of("\n\r", 0) == std::string::npos && line.find('\0') == std::string::npos, "one line");
}

}  // namespace
}  // namespace podvisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace podvisor;
  const absl::string_view text = FuzzInput(data, size).rest();
  const absl::StatusOr<CniResult> result = ParseCniResult(text, "eth0");
  if (result.ok()) {
    Require(result->addresses.size() <= 256, "addresses are bounded");
    CheckLines(result->addresses);
    CheckLines(result->dns_servers);
    CheckLines(result->dns_searches);
    CheckLines(result->dns_options);
  } else {
    Require(absl::IsInvalidArgument(result.status()), "what is no result is an invalid argument");
  }
  if (const std::optional<CniError> error = ParseCniError(text)) CodeOfCniError(error->code);
  if (const auto json = ParseJsonObject(text); json.ok())
    Require(ParseJsonObject(PrintJson(*json)).ok(), "what was read can be printed and read again");
  if (const auto config = ParseCniConfig(text, "/etc/cni/net.d/x.conflist"); config.ok()) {
    Require(!config->plugins.empty(), "a network has a plugin");
    for (const CniPluginConfig& plugin : config->plugins)
      Require(plugin.type.find('/') == std::string::npos, "a plugin is no path");
  }
  return 0;
}
