#include "cri/convert/container.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cri/convert/common.h"
#include "cri/validate/deprecated.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

v1::ContainerState ToCriState(ContainerState state) {
  switch (state) {
    case ContainerState::kCreated:
      return v1::CONTAINER_CREATED;
    case ContainerState::kRunning:
      return v1::CONTAINER_RUNNING;
    case ContainerState::kExited:
      return v1::CONTAINER_EXITED;
    case ContainerState::kUnknown:
      return v1::CONTAINER_UNKNOWN;
  }
  return v1::CONTAINER_UNKNOWN;
}

ContainerState FromCriState(v1::ContainerState state) {
  switch (state) {
    case v1::CONTAINER_CREATED:
      return ContainerState::kCreated;
    case v1::CONTAINER_RUNNING:
      return ContainerState::kRunning;
    case v1::CONTAINER_EXITED:
      return ContainerState::kExited;
    default:
      return ContainerState::kUnknown;
  }
}

template <typename From, typename To>
void CopyMappings(const From& from, To* to) {
  for (const auto& mapping : from) {
    auto* copy = to->Add();
    copy->set_host_id(mapping.host_id());
    copy->set_container_id(mapping.container_id());
    copy->set_length(mapping.length());
  }
}

void MountFromCri(const v1::Mount& mount, MountConfig* out) {
  out->set_container_path(mount.container_path());
  out->set_host_path(mount.host_path());
  out->set_readonly(mount.readonly());
  out->set_selinux_relabel(mount.selinux_relabel());
  out->set_propagation(static_cast<MountPropagation>(mount.propagation()));
  CopyMappings(mount.uidmappings(), out->mutable_uid_mappings());
  CopyMappings(mount.gidmappings(), out->mutable_gid_mappings());
  out->set_recursive_read_only(mount.recursive_read_only());
  out->set_image(mount.image().image());
  out->set_image_sub_path(mount.image_sub_path());
}

void MountToCri(const MountConfig& mount, v1::Mount* out) {
  out->set_container_path(mount.container_path());
  out->set_host_path(mount.host_path());
  out->set_readonly(mount.readonly());
  out->set_selinux_relabel(mount.selinux_relabel());
  out->set_propagation(static_cast<v1::MountPropagation>(mount.propagation()));
  CopyMappings(mount.uid_mappings(), out->mutable_uidmappings());
  CopyMappings(mount.gid_mappings(), out->mutable_gidmappings());
  out->set_recursive_read_only(mount.recursive_read_only());
  if (!mount.image().empty()) out->mutable_image()->set_image(mount.image());
  out->set_image_sub_path(mount.image_sub_path());
}

// "user:role:type:level", as labels are written. Empty if nothing is asked for.
std::string SelinuxLabel(const v1::SELinuxOption& option) {
  if (option.user().empty() && option.role().empty() && option.type().empty() && option.level().empty()) return "";
  return absl::StrCat(option.user(), ":", option.role(), ":", option.type(), ":", option.level());
}

void SecurityFromCri(const v1::LinuxContainerSecurityContext& security, ContainerConfig& out) {
  *out.mutable_add_capabilities() = security.capabilities().add_capabilities();
  *out.mutable_drop_capabilities() = security.capabilities().drop_capabilities();
  *out.mutable_add_ambient_capabilities() = security.capabilities().add_ambient_capabilities();
  out.set_privileged(security.privileged());
  *out.mutable_namespaces() = NamespacesFromCri(security.namespace_options());
  User* user = out.mutable_run_as();
  if (security.has_run_as_user()) user->set_uid(security.run_as_user().value());
  if (security.has_run_as_group()) user->set_gid(security.run_as_group().value());
  user->set_username(security.run_as_username());
  *user->mutable_supplemental_groups() = security.supplemental_groups();
  user->set_strict_supplemental_groups(security.supplemental_groups_policy() == v1::Strict);
  out.set_readonly_rootfs(security.readonly_rootfs());
  out.set_no_new_privs(security.no_new_privs());
  *out.mutable_masked_paths() = security.masked_paths();
  *out.mutable_readonly_paths() = security.readonly_paths();
  *out.mutable_seccomp() =
      security.has_seccomp() ? ProfileFromCri(security.seccomp()) : ProfileFromOldForm(OldSeccompProfile(security));
  if (security.has_apparmor()) {
    *out.mutable_apparmor() = ProfileFromCri(security.apparmor());
  } else if (!OldApparmorProfile(security).empty()) {
    *out.mutable_apparmor() = ProfileFromOldForm(OldApparmorProfile(security));
  }
  out.set_selinux_label(SelinuxLabel(security.selinux_options()));
}

// Later values win, and keep the place of the first.
void EnvFromCri(const ::google::protobuf::RepeatedPtrField<v1::KeyValue>& envs, ContainerConfig& out) {
  for (const v1::KeyValue& env : envs) {
    const auto [entry, inserted] = out.mutable_env()->insert({env.key(), env.value()});
    if (inserted) {
      out.add_env_order(env.key());
    } else {
      entry->second = env.value();
    }
  }
}

// What the user wrote, where the kubelet has resolved it to an id before.
void ImageToCri(const ContainerConfig& config, v1::ImageSpec* out) {
  out->set_image(config.user_specified_image().empty() ? config.image() : config.user_specified_image());
  out->set_user_specified_image(config.user_specified_image());
}

}  // namespace

ContainerConfig ContainerFromCri(const v1::ContainerConfig& config) {
  ContainerConfig out;
  out.mutable_metadata()->set_name(config.metadata().name());
  out.mutable_metadata()->set_attempt(config.metadata().attempt());
  out.set_image(config.image().image());
  out.set_user_specified_image(config.image().user_specified_image());
  *out.mutable_command() = config.command();
  *out.mutable_args() = config.args();
  out.set_working_dir(config.working_dir());
  EnvFromCri(config.envs(), out);
  for (const v1::Mount& mount : config.mounts()) MountFromCri(mount, out.add_mounts());
  for (const v1::Device& device : config.devices()) {
    DeviceConfig* copy = out.add_devices();
    copy->set_container_path(device.container_path());
    copy->set_host_path(device.host_path());
    copy->set_permissions(device.permissions());
  }
  *out.mutable_labels() = config.labels();
  *out.mutable_annotations() = config.annotations();
  out.set_log_path(config.log_path());
  out.set_stdin(config.stdin());
  out.set_stdin_once(config.stdin_once());
  out.set_tty(config.tty());
  out.set_stop_signal(SignalFromCri(config.stop_signal()));
  *out.mutable_resources() = ResourcesFromCri(config.linux().resources());
  SecurityFromCri(config.linux().security_context(), out);
  return out;
}

ContainerFilter ContainerFilterFromCri(const v1::ContainerFilter& filter) {
  ContainerFilter out;
  out.id = filter.id();
  out.sandbox_id = filter.pod_sandbox_id();
  if (filter.has_state()) out.state = FromCriState(filter.state().state());
  out.labels.insert(filter.label_selector().begin(), filter.label_selector().end());
  return out;
}

void ContainerToCri(const podvisor::ContainerStatus& status, v1::ContainerStatus* out) {
  const ContainerConfig& config = *status.config;
  out->set_id(status.id);
  out->mutable_metadata()->set_name(config.metadata().name());
  out->mutable_metadata()->set_attempt(config.metadata().attempt());
  out->set_state(ToCriState(status.state));
  out->set_created_at(ToCriTime(status.created_at));
  out->set_started_at(ToCriTime(status.started_at));
  out->set_finished_at(ToCriTime(status.finished_at));
  out->set_exit_code(status.exit_code);
  ImageToCri(config, out->mutable_image());
  out->set_image_ref(status.image_ref);
  out->set_image_id(status.image_id);
  out->set_reason(ToValidUtf8(status.reason));
  out->set_message(ToValidUtf8(status.message));
  *out->mutable_labels() = config.labels();
  *out->mutable_annotations() = config.annotations();
  for (const MountConfig& mount : config.mounts()) MountToCri(mount, out->add_mounts());
  for (const auto& [index, image_id] : status.volume_image_ids) {
    if (index < out->mounts_size()) out->mutable_mounts(index)->mutable_image()->set_image_ref(image_id);
  }
  out->set_log_path(status.log_path);
  ResourcesToCri(status.resources, out->mutable_resources()->mutable_linux());
  v1::LinuxContainerUser* user = out->mutable_user()->mutable_linux();
  user->set_uid(status.uid);
  user->set_gid(status.gid);
  for (int64_t group : status.supplemental_groups) user->add_supplemental_groups(group);
  out->set_stop_signal(SignalToCri(config.stop_signal()));
}

void ContainerToCri(podvisor::ContainerStatus&& status, v1::Container* out) {
  const ContainerConfig& config = *status.config;
  out->set_id(std::move(status.id));
  out->set_pod_sandbox_id(std::move(status.sandbox_id));
  out->mutable_metadata()->set_name(config.metadata().name());
  out->mutable_metadata()->set_attempt(config.metadata().attempt());
  ImageToCri(config, out->mutable_image());
  out->set_image_ref(std::move(status.image_ref));
  out->set_image_id(std::move(status.image_id));
  out->set_state(ToCriState(status.state));
  out->set_created_at(ToCriTime(status.created_at));
  *out->mutable_labels() = config.labels();
  *out->mutable_annotations() = config.annotations();
}

}  // namespace podvisor::cri
