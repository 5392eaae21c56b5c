#include "netns/builtin/ipam_config.h"

#include <sys/socket.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "netns/builtin/config_reader.h"

namespace podvisor {
namespace {

constexpr char kDefaultDataDir[] = "/var/lib/cni/networks";
constexpr size_t kMaxResolvConfBytes = 64 << 10;

absl::Status Wrong(const absl::Status& status) { return absl::FailedPreconditionError(status.message()); }

// Optional address `key` of a range, inside its subnet.
absl::StatusOr<IpAddress> RangeAddress(const nlohmann::json& range, const std::string& key, const IpNetwork& subnet,
                                       const IpAddress& missing) {
  ASSIGN_OR_RETURN(const std::string text, StringField(range, key, ""));
  if (text.empty()) return missing;
  const absl::StatusOr<IpAddress> address = ParseIp(text);
  if (!address.ok()) return Prefix(Wrong(address.status()), key);
  if (!subnet.Contains(*address))
    return absl::FailedPreconditionError(absl::StrCat(key, " ", text, " is not in subnet ", subnet.ToString()));
  return *address;
}

absl::StatusOr<IpRange> ParseRange(const nlohmann::json& json) {
  if (!json.is_object()) return absl::FailedPreconditionError("a range is no object");
  ASSIGN_OR_RETURN(const std::string text, StringField(json, "subnet", ""));
  const absl::StatusOr<IpNetwork> subnet = ParseIpNetwork(text);
  if (!subnet.ok()) return Prefix(Wrong(subnet.status()), "subnet");
  if (subnet->First() != subnet->address)
    return absl::FailedPreconditionError(
        absl::StrCat("subnet ", text, " has host bits set: it starts at ", subnet->First().ToString()));
  if (static_cast<size_t>(subnet->prefix) + 2 > subnet->address.size() * 8)
    return absl::FailedPreconditionError(absl::StrCat("subnet ", text, " is too small to give addresses from"));
  IpRange range;
  range.subnet = *subnet;
  const IpAddress first = Next(subnet->First());
  const IpAddress last = subnet->address.family == AF_INET ? Previous(subnet->Last()) : subnet->Last();
  ASSIGN_OR_RETURN(range.start, RangeAddress(json, "rangeStart", *subnet, first));
  ASSIGN_OR_RETURN(range.end, RangeAddress(json, "rangeEnd", *subnet, last));
  if (range.end < range.start)
    return absl::FailedPreconditionError(
        absl::StrCat("rangeStart ", range.start.ToString(), " is after rangeEnd ", range.end.ToString()));
  ASSIGN_OR_RETURN(const std::string gateway, StringField(json, "gateway", ""));
  const absl::StatusOr<IpAddress> parsed = gateway.empty() ? first : ParseIp(gateway);
  if (!parsed.ok()) return Prefix(Wrong(parsed.status()), "gateway");
  range.gateway = *parsed;
  return range;
}

absl::Status AppendRangeSet(const nlohmann::json& list, IpamConfig& config) {
  if (!list.is_array() || list.empty()) return absl::FailedPreconditionError("a range set is no list of ranges");
  std::vector<IpRange> ranges;
  for (const nlohmann::json& entry : list) {
    ASSIGN_OR_RETURN(IpRange range, ParseRange(entry));
    if (!ranges.empty() && ranges[0].subnet.address.family != range.subnet.address.family)
      return absl::FailedPreconditionError("a range set mixes IPv4 and IPv6");
    for (const IpRange& other : ranges)
      if (!(range.end < other.start || other.end < range.start))
        return absl::FailedPreconditionError(
            absl::StrCat("ranges of subnets ", range.subnet.ToString(), " and ", other.subnet.ToString(), " overlap"));
    ranges.push_back(range);
  }
  config.range_sets.push_back(std::move(ranges));
  return absl::OkStatus();
}

// The old way (one range beside "type"), "ranges", and the runtime's, which come first.
absl::Status ReadRanges(const nlohmann::json& ipam, const nlohmann::json& runtime, IpamConfig& config) {
  ASSIGN_OR_RETURN(const nlohmann::json runtime_sets, ArrayField(runtime, "ipRanges"));
  for (const nlohmann::json& set : runtime_sets) RETURN_IF_ERROR(AppendRangeSet(set, config), "ipRanges");
  if (ipam.contains("subnet")) RETURN_IF_ERROR(AppendRangeSet(nlohmann::json::array({ipam}), config));
  ASSIGN_OR_RETURN(const nlohmann::json sets, ArrayField(ipam, "ranges"));
  for (const nlohmann::json& set : sets) RETURN_IF_ERROR(AppendRangeSet(set, config), "ranges");
  if (config.range_sets.empty()) return absl::FailedPreconditionError("there is no range to give addresses from");
  return absl::OkStatus();
}

absl::Status ReadRoutes(const nlohmann::json& ipam, IpamConfig& config) {
  ASSIGN_OR_RETURN(const nlohmann::json routes, ArrayField(ipam, "routes"));
  for (const nlohmann::json& entry : routes) {
    if (!entry.is_object()) return absl::FailedPreconditionError("a route is no object");
    ASSIGN_OR_RETURN(const std::string destination, StringField(entry, "dst", ""));
    ASSIGN_OR_RETURN(const std::string gateway, StringField(entry, "gw", ""));
    const absl::StatusOr<IpNetwork> network = ParseIpNetwork(destination);
    if (!network.ok()) return Prefix(Wrong(network.status()), "routes: dst");
    IpRoute route = {*network, std::nullopt};
    if (!gateway.empty()) {
      const absl::StatusOr<IpAddress> address = ParseIp(gateway);
      if (!address.ok()) return Prefix(Wrong(address.status()), "routes: gw");
      route.gateway = *address;
    }
    config.routes.push_back(route);
  }
  return absl::OkStatus();
}

// resolv.conf(5).
absl::Status ReadResolvConf(const std::string& path, IpamConfig& config) {
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxResolvConfBytes), "resolvConf");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    if (words[0] == "nameserver") config.dns_servers.push_back(words[1]);
    if (words[0] == "domain") config.dns_domain = words[1];
    if (words[0] == "search") config.dns_searches.insert(config.dns_searches.end(), words.begin() + 1, words.end());
    if (words[0] == "options") config.dns_options.insert(config.dns_options.end(), words.begin() + 1, words.end());
  }
  return absl::OkStatus();
}

absl::Status AppendRequested(absl::string_view text, IpamConfig& config) {
  // With or without prefix length.
  const absl::StatusOr<IpAddress> address = ParseIp(text.substr(0, text.find('/')));
  if (!address.ok()) return Prefix(Wrong(address.status()), "requested address");
  if (std::find(config.requested.begin(), config.requested.end(), *address) == config.requested.end())
    config.requested.push_back(*address);
  return absl::OkStatus();
}

// CNI_ARGS' IP=, "args": {"cni": {"ips"}}, and the capability ips.
absl::Status ReadRequested(const nlohmann::json& config, const nlohmann::json& runtime, const std::string& cni_args,
                           IpamConfig& into) {
  for (absl::string_view pair : absl::StrSplit(cni_args, ';'))
    if (absl::ConsumePrefix(&pair, "IP=") && !pair.empty()) RETURN_IF_ERROR(AppendRequested(pair, into));
  ASSIGN_OR_RETURN(const nlohmann::json args, ObjectField(config, "args"));
  ASSIGN_OR_RETURN(const nlohmann::json cni, ObjectField(args, "cni"));
  ASSIGN_OR_RETURN(const std::vector<std::string> arg_ips, StringsField(cni, "ips"));
  ASSIGN_OR_RETURN(const std::vector<std::string> runtime_ips, StringsField(runtime, "ips"));
  for (const std::vector<std::string>* list : {&arg_ips, &runtime_ips})
    for (const std::string& ip : *list) RETURN_IF_ERROR(AppendRequested(ip, into));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IpamConfig> ParseIpamConfig(const nlohmann::json& config, const std::string& cni_args) {
  IpamConfig ipam;
  ASSIGN_OR_RETURN(const nlohmann::json json, ObjectField(config, "ipam"));
  ASSIGN_OR_RETURN(const nlohmann::json runtime, ObjectField(config, "runtimeConfig"));
  ASSIGN_OR_RETURN(ipam.data_dir, StringField(json, "dataDir", kDefaultDataDir), "ipam");
  if (!absl::StartsWith(ipam.data_dir, "/"))
    return absl::FailedPreconditionError(absl::StrCat("ipam: dataDir \"", ipam.data_dir, "\" is no absolute path"));
  RETURN_IF_ERROR(ReadRanges(json, runtime, ipam), "ipam");
  RETURN_IF_ERROR(ReadRoutes(json, ipam), "ipam");
  ASSIGN_OR_RETURN(const std::string resolv_conf, StringField(json, "resolvConf", ""), "ipam");
  RETURN_IF_ERROR(ReadResolvConf(resolv_conf, ipam), "ipam");
  RETURN_IF_ERROR(ReadRequested(config, runtime, cni_args, ipam), "ipam");
  return ipam;
}

}  // namespace podvisor
