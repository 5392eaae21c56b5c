#include <arpa/inet.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxHostnameBytes = 64;  // HOST_NAME_MAX

bool IsAddress(std::string text) {
  const size_t zone = text.find('%');  // fe80::1%eth0
  const bool zoned = zone != std::string::npos;
  if (zoned) text.resize(zone);
  unsigned char buffer[sizeof(in6_addr)];
  return ::inet_pton(AF_INET6, text.c_str(), buffer) == 1 ||
         (!zoned && ::inet_pton(AF_INET, text.c_str(), buffer) == 1);
}

absl::Status ValidateMetadata(const Field& field, const v1::PodSandboxMetadata& metadata) {
  RETURN_IF_ERROR(NotEmpty(field / "name", metadata.name()));
  for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"name", metadata.name()},
                                    {"namespace", metadata.namespace_()},
                                    {"uid", metadata.uid()}}) {
    RETURN_IF_ERROR(NoLongerThan(field / name, value, kMaxNameBytes));
    RETURN_IF_ERROR(Printable(field / name, value));
    // CNI_ARGS, which carries them to plugins, separates by semicolons and equals signs.
    if (value.find_first_of(";=/") != std::string::npos) {
      return (field / name).Error("must not contain ';', '=' or '/'");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateHostname(const Field& field, absl::string_view hostname) {
  RETURN_IF_ERROR(NoLongerThan(field, hostname, kMaxHostnameBytes));
  for (unsigned char c : hostname) {
    if (!absl::ascii_isalnum(c) && c != '-' && c != '.' && c != '_') {
      return field.Error("must consist of letters, digits, '-' and '.'");
    }
  }
  return absl::OkStatus();
}

// What becomes a line of resolv.conf must stay one word.
absl::Status ValidateDns(const Field& field, const v1::DNSConfig& dns) {
  const Field servers = field / "servers";
  for (int i = 0; i < dns.servers_size(); ++i) {
    if (!IsAddress(dns.servers(i))) {
      return servers[i].Error(absl::StrCat("must be an IP address: \"", dns.servers(i), "\""));
    }
  }
  const auto words = [](const Field& list, const auto& values) -> absl::Status {
    for (int i = 0; i < values.size(); ++i) {
      const Field element = list[i];
      RETURN_IF_ERROR(NotEmpty(element, values[i]));
      RETURN_IF_ERROR(NoLongerThan(element, values[i], 256));
      for (unsigned char c : values[i]) {
        if (!absl::ascii_isgraph(c)) return element.Error("must be one word of printable ASCII");
      }
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(words(field / "searches", dns.searches()));
  return words(field / "options", dns.options());
}

absl::Status ValidatePort(const Field& field, const v1::PortMapping& port) {
  if (!v1::Protocol_IsValid(port.protocol())) {
    return (field / "protocol").Error(absl::StrCat("is not known: ", static_cast<int>(port.protocol())));
  }
  if (port.container_port() < 1 || port.container_port() > 65535) {
    return (field / "container_port").Error(absl::StrCat("must be 1 to 65535: ", port.container_port()));
  }
  // 0: the port is only declared, nothing is forwarded.
  if (port.host_port() < 0 || port.host_port() > 65535) {
    return (field / "host_port").Error(absl::StrCat("must be 0 to 65535: ", port.host_port()));
  }
  if (!port.host_ip().empty() && !IsAddress(port.host_ip())) {
    return (field / "host_ip").Error(absl::StrCat("must be an IP address: \"", port.host_ip(), "\""));
  }
  return absl::OkStatus();
}

// "kernel.shm_rmid_forced" or, with slashes as separators, "net/ipv4/conf/eth0.1/forwarding".
absl::Status ValidateSysctls(const Field& field, const StringMap& sysctls) {
  for (const auto& [name, value] : sysctls) {
    const char separator = name.find('/') != std::string::npos ? '/' : '.';
    char last = separator;
    for (unsigned char c : name) {
      const bool separates = c == static_cast<unsigned char>(separator);
      if ((!absl::ascii_isalnum(c) && c != '_' && c != '-' && c != '.' && !separates) ||
          (separates && last == separator)) {
        return field.Error(absl::StrCat("must be keyed by names such as \"kernel.shmmax\": \"", name, "\""));
      }
      last = static_cast<char>(c);
    }
    if (last == separator || name.find(separator) == std::string::npos || name.find("..") != std::string::npos) {
      return field.Error(absl::StrCat("must be keyed by names such as \"kernel.shmmax\": \"", name, "\""));
    }
    RETURN_IF_ERROR(NoNul(field / name, value));
    RETURN_IF_ERROR(NoLongerThan(field / name, value, 4096));
  }
  return absl::OkStatus();
}

absl::Status ValidateLinux(const Field& field, const v1::LinuxPodSandboxConfig& config) {
  const Field parent = field / "cgroup_parent";
  if (!config.cgroup_parent().empty()) {
    // Either a path below the cgroup root or, with the systemd driver, the name of a slice.
    const bool slice = config.cgroup_parent().front() != '/';
    if (slice) {
      RETURN_IF_ERROR(RelativePathInside(parent, config.cgroup_parent()));
    } else {
      RETURN_IF_ERROR(AbsolutePath(parent, config.cgroup_parent()));
    }
    RETURN_IF_ERROR(Printable(parent, config.cgroup_parent()));
  }
  RETURN_IF_ERROR(ValidateSandboxSecurity(field / "security_context", config.security_context()));
  RETURN_IF_ERROR(ValidateSysctls(field / "sysctls", config.sysctls()));
  RETURN_IF_ERROR(ValidateResources(field / "overhead", config.overhead()));
  return ValidateResources(field / "resources", config.resources());
}

}  // namespace

absl::Status ValidateSandboxConfig(const Field& field, const v1::PodSandboxConfig& config) {
  const Field metadata = field / "metadata";
  RETURN_IF_ERROR(ValidateMetadata(metadata, config.metadata()));
  RETURN_IF_ERROR(ValidateHostname(field / "hostname", config.hostname()));
  if (!config.log_directory().empty()) {
    RETURN_IF_ERROR(AbsolutePath(field / "log_directory", config.log_directory()));
  }
  RETURN_IF_ERROR(ValidateDns(field / "dns_config", config.dns_config()));
  const Field ports = field / "port_mappings";
  for (int i = 0; i < config.port_mappings_size(); ++i) {
    RETURN_IF_ERROR(ValidatePort(ports[i], config.port_mappings(i)));
  }
  RETURN_IF_ERROR(ValidateLabels(field / "labels", config.labels()));
  RETURN_IF_ERROR(ValidateAnnotations(field / "annotations", config.annotations()));
  if (config.has_windows()) return (field / "windows").Error("is not possible: the pods of this runtime are Linux");
  return ValidateLinux(field / "linux", config.linux());
}

}  // namespace podvisor::cri
