#include "cri/convert/sandbox.h"

#include <utility>

#include "cri/convert/common.h"
#include "cri/validate/deprecated.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

v1::PodSandboxState ToCriState(SandboxState state) {
  return state == SandboxState::kReady ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY;
}

void MetadataToCri(const Metadata& metadata, v1::PodSandboxMetadata* out) {
  out->set_name(metadata.name());
  out->set_namespace_(metadata.namespace_());
  out->set_uid(metadata.uid());
  out->set_attempt(metadata.attempt());
}

User UserFromCri(const v1::LinuxSandboxSecurityContext& security) {
  User user;
  if (security.has_run_as_user()) user.set_uid(security.run_as_user().value());
  if (security.has_run_as_group()) user.set_gid(security.run_as_group().value());
  *user.mutable_supplemental_groups() = security.supplemental_groups();
  user.set_strict_supplemental_groups(security.supplemental_groups_policy() == v1::Strict);
  return user;
}

void LinuxFromCri(const v1::LinuxPodSandboxConfig& config, SandboxConfig& out) {
  const v1::LinuxSandboxSecurityContext& security = config.security_context();
  out.set_cgroup_parent(config.cgroup_parent());
  *out.mutable_namespaces() = NamespacesFromCri(security.namespace_options());
  *out.mutable_run_as() = UserFromCri(security);
  out.set_privileged(security.privileged());
  out.set_readonly_rootfs(security.readonly_rootfs());
  *out.mutable_seccomp() =
      security.has_seccomp() ? ProfileFromCri(security.seccomp()) : ProfileFromOldForm(OldSeccompProfile(security));
  *out.mutable_sysctls() = config.sysctls();
  if (config.has_overhead()) *out.mutable_overhead() = ResourcesFromCri(config.overhead());
  if (config.has_resources()) *out.mutable_resources() = ResourcesFromCri(config.resources());
}

}  // namespace

SandboxConfig SandboxFromCri(const v1::PodSandboxConfig& config) {
  SandboxConfig out;
  Metadata* metadata = out.mutable_metadata();
  metadata->set_name(config.metadata().name());
  metadata->set_namespace_(config.metadata().namespace_());
  metadata->set_uid(config.metadata().uid());
  metadata->set_attempt(config.metadata().attempt());
  out.set_hostname(config.hostname());
  out.set_log_directory(config.log_directory());
  if (config.has_dns_config()) {
    *out.mutable_dns()->mutable_servers() = config.dns_config().servers();
    *out.mutable_dns()->mutable_searches() = config.dns_config().searches();
    *out.mutable_dns()->mutable_options() = config.dns_config().options();
  }
  for (const v1::PortMapping& port : config.port_mappings()) {
    PortMappingConfig* copy = out.add_port_mappings();
    copy->set_protocol(static_cast<PortMappingConfig::Protocol>(port.protocol()));
    copy->set_container_port(static_cast<uint32_t>(port.container_port()));
    copy->set_host_port(static_cast<uint32_t>(port.host_port()));
    copy->set_host_ip(port.host_ip());
  }
  *out.mutable_labels() = config.labels();
  *out.mutable_annotations() = config.annotations();
  LinuxFromCri(config.linux(), out);
  return out;
}

SandboxFilter SandboxFilterFromCri(const v1::PodSandboxFilter& filter) {
  SandboxFilter out;
  out.id = filter.id();
  if (filter.has_state()) {
    out.state = filter.state().state() == v1::SANDBOX_READY ? SandboxState::kReady : SandboxState::kNotReady;
  }
  out.labels.insert(filter.label_selector().begin(), filter.label_selector().end());
  return out;
}

void SandboxToCri(const SandboxStatus& status, v1::PodSandboxStatus* out) {
  out->set_id(status.id);
  MetadataToCri(status.config->metadata(), out->mutable_metadata());
  out->set_state(ToCriState(status.state));
  out->set_created_at(ToCriTime(status.created_at));
  v1::PodSandboxNetworkStatus* network = out->mutable_network();
  for (size_t i = 0; i < status.ips.size(); ++i) {
    if (i == 0) {
      network->set_ip(status.ips[i]);
    } else {
      network->add_additional_ips()->set_ip(status.ips[i]);
    }
  }
  NamespacesToCri(status.config->namespaces(), out->mutable_linux()->mutable_namespaces()->mutable_options());
  *out->mutable_labels() = status.config->labels();
  *out->mutable_annotations() = status.config->annotations();
  out->set_runtime_handler(status.runtime_handler);
}

void SandboxToCri(SandboxStatus&& status, v1::PodSandbox* out) {
  out->set_id(std::move(status.id));
  MetadataToCri(status.config->metadata(), out->mutable_metadata());
  out->set_state(ToCriState(status.state));
  out->set_created_at(ToCriTime(status.created_at));
  *out->mutable_labels() = status.config->labels();
  *out->mutable_annotations() = status.config->annotations();
  out->set_runtime_handler(std::move(status.runtime_handler));
}

}  // namespace podvisor::cri
