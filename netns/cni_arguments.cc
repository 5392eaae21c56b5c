#include "netns/cni_arguments.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "netns/cni_json.h"

namespace podvisor {
namespace {

// Bits; a plugin refuses a rate without a burst. As large as every plugin takes: the rate alone limits.
constexpr int64_t kBurst = INT32_MAX;

nlohmann::json PortMappings(const NetworkRequest& request) {
  nlohmann::json list = nlohmann::json::array();
  for (const PortMapping& mapping : request.port_mappings) {
    if (mapping.host_port == 0) continue;
    nlohmann::json entry = {{"hostPort", mapping.host_port},
                            {"containerPort", mapping.container_port},
                            {"protocol", absl::AsciiStrToLower(mapping.protocol)}};
    if (!mapping.host_ip.empty()) entry["hostIP"] = mapping.host_ip;
    list.push_back(std::move(entry));
  }
  return list;
}

nlohmann::json Bandwidth(const NetworkRequest& request) {
  nlohmann::json bandwidth = nlohmann::json::object();
  if (request.ingress_bits_per_second > 0) {
    bandwidth["ingressRate"] = request.ingress_bits_per_second;
    bandwidth["ingressBurst"] = kBurst;
  }
  if (request.egress_bits_per_second > 0) {
    bandwidth["egressRate"] = request.egress_bits_per_second;
    bandwidth["egressBurst"] = kBurst;
  }
  return bandwidth;
}

nlohmann::json IpRanges(const std::string& pod_cidr) {
  nlohmann::json sets = nlohmann::json::array();
  for (absl::string_view cidr : absl::StrSplit(pod_cidr, ',', absl::SkipWhitespace()))
    sets.push_back(nlohmann::json::array({{{"subnet", std::string(absl::StripAsciiWhitespace(cidr))}}}));
  return sets;
}

nlohmann::json Dns(const NetworkRequest& request) {
  nlohmann::json dns = nlohmann::json::object();
  if (!request.dns_servers.empty()) dns["servers"] = request.dns_servers;
  if (!request.dns_searches.empty()) dns["searches"] = request.dns_searches;
  if (!request.dns_options.empty()) dns["options"] = request.dns_options;
  return dns;
}

}  // namespace

absl::StatusOr<std::string> BuildCniArgs(const NetworkRequest& request) {
  const std::pair<const char*, const std::string&> values[] = {
      {"K8S_POD_NAMESPACE", request.pod_namespace},
      {"K8S_POD_NAME", request.pod_name},
      {"K8S_POD_INFRA_CONTAINER_ID", request.sandbox_id},
      {"K8S_POD_UID", request.pod_uid},
  };
  std::string args = "IgnoreUnknown=1";
  for (const auto& [key, value] : values) {
    if (absl::StrContains(value, ';') || absl::StrContains(value, '\0'))
      return absl::InvalidArgumentError(absl::StrCat(key, " is \"", value, "\": CNI_ARGS can't hold that"));
    absl::StrAppend(&args, ";", key, "=", value);
  }
  return args;
}

std::string BuildCapabilityArgs(const NetworkRequest& request, const std::string& pod_cidr) {
  nlohmann::json args = nlohmann::json::object();
  const auto set = [&](const char* capability, nlohmann::json value) {
    if (!value.empty()) args[capability] = std::move(value);
  };
  set("portMappings", PortMappings(request));
  set("bandwidth", Bandwidth(request));
  set("ipRanges", IpRanges(pod_cidr));
  set("dns", Dns(request));
  set("io.kubernetes.cri.pod-annotations", request.annotations);
  if (!request.cgroup_path.empty()) args["cgroupPath"] = request.cgroup_path;
  return PrintJson(args);
}

}  // namespace podvisor
