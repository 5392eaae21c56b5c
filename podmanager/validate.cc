#include "podmanager/validate.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "podmanager/host_cgroup.h"
#include "podmanager/network_request.h"

namespace podvisor {

namespace {

absl::Status Invalid(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

absl::Status CheckPorts(const SandboxConfig& config) {
  for (int i = 0; i < config.port_mappings_size(); ++i) {
    const PortMappingConfig& mapping = config.port_mappings(i);
    const std::string field = absl::StrCat("port_mappings[", i, "]");
    if (mapping.host_port() > 65535) return Invalid(field, "host_port is no port number");
    if (mapping.host_port() != 0 && (mapping.container_port() == 0 || mapping.container_port() > 65535)) {
      return Invalid(field, "container_port is no port number");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateSandboxConfig(const SandboxConfig& config) {
  if (config.metadata().name().empty()) return Invalid("metadata.name", "is empty");
  if (!config.log_directory().empty() && config.log_directory()[0] != '/') {
    return Invalid("log_directory", "is no absolute path");
  }
  RETURN_IF_ERROR(CgroupParentPath(config.cgroup_parent()).status());
  RETURN_IF_ERROR(CheckPorts(config));
  for (const char* name : {"kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"}) {
    if (auto it = config.annotations().find(name); it != config.annotations().end()) {
      RETURN_IF_ERROR(ParseBandwidth(it->second).status(), "annotation ", name);
    }
  }
  if (config.namespaces().network() == NODE) {
    return absl::UnimplementedError(
        "namespaces.network NODE: a pod in a VM can't share the node's network; run it with another runtime handler, "
        "or without hostNetwork");
  }
  return absl::OkStatus();
}

absl::Status ValidateContainerConfig(const ContainerConfig& config) {
  if (config.metadata().name().empty()) return Invalid("metadata.name", "is empty");
  if (config.image().empty()) return Invalid("image", "is empty");
  const std::vector<absl::string_view> log_path = absl::StrSplit(config.log_path(), '/');
  for (absl::string_view part : log_path) {
    if (part == "..") return Invalid("log_path", "leads out of the sandbox's log directory");
  }
  for (int i = 0; i < config.mounts_size(); ++i) {
    const MountConfig& mount = config.mounts(i);
    const std::string field = absl::StrCat("mounts[", i, "]");
    if (mount.container_path().empty()) return Invalid(field, "container_path is empty");
    if (!mount.image().empty()) {
      if (!mount.readonly()) return Invalid(field, "readonly has to be true: an image can't be written to");
      continue;
    }
    if (!absl::StartsWith(mount.host_path(), "/")) return Invalid(field, "host_path is no absolute path");
  }
  return absl::OkStatus();
}

}  // namespace podvisor
