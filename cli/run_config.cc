#include "cli/run_config.h"

#include <filesystem>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace podvisor::cli {
namespace {

absl::StatusOr<int> Port(absl::string_view text, absl::string_view whole) {
  int port = 0;
  if (!absl::SimpleAtoi(text, &port) || port < 1 || port > 65535)
    return absl::InvalidArgumentError(absl::StrCat("--publish ", whole, ": \"", text, "\" is no port (1 to 65535)"));
  return port;
}

absl::StatusOr<runtime::v1::PortMapping> PortMappingOf(const std::string& text) {
  runtime::v1::PortMapping mapping;
  std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(text, absl::MaxSplits('/', 1));
  if (!halves.second.empty()) {
    runtime::v1::Protocol protocol;
    if (!runtime::v1::Protocol_Parse(absl::AsciiStrToUpper(halves.second), &protocol))
      return absl::InvalidArgumentError(absl::StrCat("--publish ", text, ": protocol is tcp, udp or sctp"));
    mapping.set_protocol(protocol);
  }
  // From the right: an IPv6 address in brackets holds colons.
  const size_t last = halves.first.rfind(':');
  if (last == absl::string_view::npos)
    return absl::InvalidArgumentError(absl::StrCat("--publish ", text, ": expected [IP:]HOST-PORT:CONTAINER-PORT"));
  absl::string_view host = halves.first.substr(0, last);
  ASSIGN_OR_RETURN(const int container_port, Port(halves.first.substr(last + 1), text));
  if (const size_t colon = host.rfind(':'); colon != absl::string_view::npos) {
    absl::string_view ip = host.substr(0, colon);
    if (absl::StartsWith(ip, "[") && absl::EndsWith(ip, "]")) ip = ip.substr(1, ip.size() - 2);
    mapping.set_host_ip(std::string(ip));
    host.remove_prefix(colon + 1);
  }
  ASSIGN_OR_RETURN(const int host_port, Port(host, text));
  mapping.set_container_port(container_port);
  mapping.set_host_port(host_port);
  return mapping;
}

absl::StatusOr<runtime::v1::Mount> MountOf(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || parts[1].empty() || parts[1][0] != '/' ||
      (parts.size() == 3 && parts[2] != "ro" && parts[2] != "rw"))
    return absl::InvalidArgumentError(absl::StrCat("--volume ", text, ": expected HOST-PATH:/CONTAINER-PATH[:ro]"));
  std::error_code error;
  const std::filesystem::path host = std::filesystem::absolute(parts[0], error);
  if (error || !std::filesystem::exists(host))
    return absl::NotFoundError(absl::StrCat("--volume ", text, ": ", parts[0], " does not exist"));
  runtime::v1::Mount mount;
  mount.set_host_path(host.lexically_normal().string());
  mount.set_container_path(parts[1]);
  mount.set_readonly(parts.size() == 3 && parts[2] == "ro");
  return mount;
}

absl::StatusOr<int64_t> Bytes(const std::string& text) {
  static constexpr absl::string_view kUnits = "bkmg";
  absl::string_view digits = text;
  int shift = 0;
  if (!digits.empty()) {
    const size_t unit = kUnits.find(absl::ascii_tolower(static_cast<unsigned char>(digits.back())));
    if (unit != absl::string_view::npos) {
      shift = static_cast<int>(unit) * 10;
      digits.remove_suffix(1);
    }
  }
  int64_t number = 0;
  if (!absl::SimpleAtoi(digits, &number) || number <= 0 || number > (std::numeric_limits<int64_t>::max() >> shift))
    return absl::InvalidArgumentError(absl::StrCat("--memory ", text, ": expected a number with b, k, m or g: 64m"));
  return number << shift;
}

void SetUser(const std::string& text, runtime::v1::LinuxContainerSecurityContext& security) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  int64_t number = 0;
  if (absl::SimpleAtoi(parts.first, &number))
    security.mutable_run_as_user()->set_value(number);
  else
    security.set_run_as_username(parts.first);
  if (absl::SimpleAtoi(parts.second, &number)) security.mutable_run_as_group()->set_value(number);
}

// The container's command is its process 1, as with `docker run`; CRI's default would be a namespace for the pod.
void OwnProcesses(runtime::v1::NamespaceOption& namespaces) { namespaces.set_pid(runtime::v1::CONTAINER); }

}  // namespace

absl::StatusOr<runtime::v1::PodSandboxConfig> SandboxConfigOf(const RunArguments& arguments,
                                                              const std::string& log_folder) {
  runtime::v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name(arguments.name);
  config.mutable_metadata()->set_namespace_("podvisor");
  config.mutable_metadata()->set_uid(arguments.name);
  config.set_log_directory(log_folder);
  config.set_hostname(arguments.name);
  OwnProcesses(*config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
  for (const std::string& port : arguments.ports) {
    ASSIGN_OR_RETURN(*config.add_port_mappings(), PortMappingOf(port));
  }
  return config;
}

absl::StatusOr<runtime::v1::ContainerConfig> ContainerConfigOf(const RunArguments& arguments) {
  runtime::v1::ContainerConfig config;
  config.mutable_metadata()->set_name("main");
  config.mutable_image()->set_image(arguments.image);
  config.mutable_image()->set_user_specified_image(arguments.image);
  // As docker: the image's entrypoint stays, its command is replaced.
  for (const std::string& word : arguments.command) config.add_args(word);
  for (const std::string& pair : arguments.env) {
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos)
      return absl::InvalidArgumentError(absl::StrCat("--env ", pair, ": expected KEY=VALUE"));
    auto* env = config.add_envs();
    env->set_key(pair.substr(0, equals));
    env->set_value(pair.substr(equals + 1));
  }
  for (const std::string& volume : arguments.volumes) {
    ASSIGN_OR_RETURN(*config.add_mounts(), MountOf(volume));
  }
  config.set_working_dir(arguments.working_dir);
  config.set_log_path("main.log");
  auto* linux_config = config.mutable_linux();
  OwnProcesses(*linux_config->mutable_security_context()->mutable_namespace_options());
  if (!arguments.user.empty()) SetUser(arguments.user, *linux_config->mutable_security_context());
  if (!arguments.memory.empty()) {
    ASSIGN_OR_RETURN(const int64_t bytes, Bytes(arguments.memory));
    linux_config->mutable_resources()->set_memory_limit_in_bytes(bytes);
  }
  return config;
}

}  // namespace podvisor::cli
