#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cri/validate/deprecated.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr int64_t kMaxUserId = 0xffffffffLL - 1;  // (uid_t)-1 is no user
constexpr int kMaxGroups = 65536;                 // NGROUPS_MAX

absl::Status ValidateUserId(const Field& field, int64_t id) {
  RETURN_IF_ERROR(NotNegative(field, id));
  return AtMost(field, id, kMaxUserId);
}

absl::Status ValidateGroups(const Field& field, const ::google::protobuf::RepeatedField<int64_t>& groups) {
  if (groups.size() > kMaxGroups) return field.Error(absl::StrCat("must have at most ", kMaxGroups, " groups"));
  for (int i = 0; i < groups.size(); ++i) RETURN_IF_ERROR(ValidateUserId(field[i], groups[i]));
  return absl::OkStatus();
}

absl::Status ValidateProfile(const Field& field, const v1::SecurityProfile& profile) {
  if (!v1::SecurityProfile::ProfileType_IsValid(profile.profile_type())) {
    return (field / "profile_type").Error(absl::StrCat("is not known: ", profile.profile_type()));
  }
  const Field reference = field / "localhost_ref";
  if (profile.profile_type() != v1::SecurityProfile::Localhost) {
    if (!profile.localhost_ref().empty()) return reference.Error("must be empty unless profile_type is Localhost");
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(NotEmpty(reference, profile.localhost_ref()));
  return Printable(reference, profile.localhost_ref());
}

absl::Status ValidateSeccomp(const Field& field, const v1::SecurityProfile& profile) {
  RETURN_IF_ERROR(ValidateProfile(field, profile));
  if (profile.profile_type() != v1::SecurityProfile::Localhost) return absl::OkStatus();
  return AbsolutePath(field / "localhost_ref", profile.localhost_ref());
}

// The deprecated form: "", "unconfined", "runtime/default", "docker/default", "localhost/PATH".
absl::Status ValidateOldProfile(const Field& field, absl::string_view profile) {
  if (profile.empty() || profile == "unconfined" || profile == "runtime/default" || profile == "docker/default") {
    return absl::OkStatus();
  }
  if (absl::ConsumePrefix(&profile, "localhost/") && !profile.empty()) return Printable(field, profile);
  return field.Error("must be \"unconfined\", \"runtime/default\" or \"localhost/PROFILE\"");
}

// "CAP_NET_ADMIN", "NET_ADMIN" or "ALL", in any case: whether the guest's kernel knows it is seen there.
absl::Status ValidateCapabilities(const Field& field,
                                  const ::google::protobuf::RepeatedPtrField<std::string>& capabilities) {
  for (int i = 0; i < capabilities.size(); ++i) {
    const Field element = field[i];
    RETURN_IF_ERROR(NotEmpty(element, capabilities[i]));
    RETURN_IF_ERROR(NoLongerThan(element, capabilities[i], 64));
    for (unsigned char c : capabilities[i]) {
      if (!absl::ascii_isalnum(c) && c != '_') {
        return element.Error(absl::StrCat("must be a capability such as \"NET_ADMIN\": ", capabilities[i]));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ValidatePaths(const Field& field, const ::google::protobuf::RepeatedPtrField<std::string>& paths) {
  for (int i = 0; i < paths.size(); ++i) RETURN_IF_ERROR(AbsolutePath(field[i], paths[i]));
  return absl::OkStatus();
}

absl::Status ValidateSelinux(const Field& field, const v1::SELinuxOption& option) {
  for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"user", option.user()},
                                    {"role", option.role()},
                                    {"type", option.type()},
                                    {"level", option.level()}}) {
    RETURN_IF_ERROR(NoLongerThan(field / name, value, 256));
    RETURN_IF_ERROR(Printable(field / name, value));
  }
  return absl::OkStatus();
}

absl::Status ValidateUserNamespace(const Field& field, const v1::UserNamespace& userns) {
  const bool has_mappings = userns.uids_size() + userns.gids_size() > 0;
  switch (userns.mode()) {
    case v1::NODE:
      if (has_mappings) return field.Error("must have no uids and gids when mode is NODE");
      return absl::OkStatus();
    case v1::POD:
      break;
    default:
      return (field / "mode").Error(absl::StrCat("must be POD or NODE: ", v1::NamespaceMode_Name(userns.mode())));
  }
  const auto one_mapping = [](const Field& list, const auto& mappings) -> absl::Status {
    if (mappings.size() != 1) return list.Error(absl::StrCat("must have one mapping, has ", mappings.size()));
    const v1::IDMapping& mapping = mappings[0];
    if (mapping.container_id() != 0) return list.Error("must map the container's id 0");
    if (mapping.length() == 0) return list.Error("must map at least one id");
    if (uint64_t{mapping.host_id()} + mapping.length() > 0xffffffffULL) return list.Error("must end below 4294967295");
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(one_mapping(field / "uids", userns.uids()));
  RETURN_IF_ERROR(one_mapping(field / "gids", userns.gids()));
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateNamespaces(const Field& field, const v1::NamespaceOption& options) {
  const auto one_of = [&](const char* name, v1::NamespaceMode mode,
                          std::initializer_list<v1::NamespaceMode> allowed) -> absl::Status {
    for (v1::NamespaceMode candidate : allowed) {
      if (candidate == mode) return absl::OkStatus();
    }
    return (field / name)
        .Error(absl::StrCat("is not possible: ", v1::NamespaceMode_IsValid(mode)
                                                     ? v1::NamespaceMode_Name(mode)
                                                     : absl::StrCat(static_cast<int>(mode))));
  };
  RETURN_IF_ERROR(one_of("network", options.network(), {v1::POD, v1::NODE}));
  RETURN_IF_ERROR(one_of("ipc", options.ipc(), {v1::POD, v1::NODE}));
  RETURN_IF_ERROR(one_of("pid", options.pid(), {v1::POD, v1::CONTAINER, v1::NODE, v1::TARGET}));
  if (options.pid() == v1::TARGET) {
    RETURN_IF_ERROR(ValidId(field / "target_id", options.target_id()));
  } else if (!options.target_id().empty()) {
    return (field / "target_id").Error("must be empty unless pid is TARGET");
  }
  if (options.has_userns_options()) {
    RETURN_IF_ERROR(ValidateUserNamespace(field / "userns_options", options.userns_options()));
  }
  return absl::OkStatus();
}

absl::Status ValidateSandboxSecurity(const Field& field, const v1::LinuxSandboxSecurityContext& security) {
  const Field namespaces = field / "namespace_options";
  RETURN_IF_ERROR(ValidateNamespaces(namespaces, security.namespace_options()));
  if (security.namespace_options().pid() == v1::TARGET) {
    return (namespaces / "pid").Error("TARGET is for containers: a sandbox has none to join");
  }
  RETURN_IF_ERROR(ValidateSelinux(field / "selinux_options", security.selinux_options()));
  RETURN_IF_ERROR(ValidateUserId(field / "run_as_user.value", security.run_as_user().value()));
  RETURN_IF_ERROR(ValidateUserId(field / "run_as_group.value", security.run_as_group().value()));
  if (security.has_run_as_group() && !security.has_run_as_user()) {
    return (field / "run_as_group").Error("needs run_as_user");
  }
  RETURN_IF_ERROR(ValidateGroups(field / "supplemental_groups", security.supplemental_groups()));
  RETURN_IF_ERROR(ValidateSeccomp(field / "seccomp", security.seccomp()));
  RETURN_IF_ERROR(ValidateProfile(field / "apparmor", security.apparmor()));
  return ValidateOldProfile(field / "seccomp_profile_path", OldSeccompProfile(security));
}

absl::Status ValidateContainerSecurity(const Field& field, const v1::LinuxContainerSecurityContext& security) {
  const Field capabilities = field / "capabilities";
  RETURN_IF_ERROR(ValidateCapabilities(capabilities / "add_capabilities", security.capabilities().add_capabilities()));
  RETURN_IF_ERROR(
      ValidateCapabilities(capabilities / "drop_capabilities", security.capabilities().drop_capabilities()));
  RETURN_IF_ERROR(ValidateCapabilities(capabilities / "add_ambient_capabilities",
                                       security.capabilities().add_ambient_capabilities()));
  RETURN_IF_ERROR(ValidateNamespaces(field / "namespace_options", security.namespace_options()));
  RETURN_IF_ERROR(ValidateSelinux(field / "selinux_options", security.selinux_options()));
  RETURN_IF_ERROR(ValidateUserId(field / "run_as_user.value", security.run_as_user().value()));
  RETURN_IF_ERROR(ValidateUserId(field / "run_as_group.value", security.run_as_group().value()));
  const Field username = field / "run_as_username";
  if (security.has_run_as_user() && !security.run_as_username().empty()) {
    return username.Error("must be empty when run_as_user is given");
  }
  if (security.has_run_as_group() && !security.has_run_as_user() && security.run_as_username().empty()) {
    return (field / "run_as_group").Error("needs run_as_user or run_as_username");
  }
  RETURN_IF_ERROR(NoLongerThan(username, security.run_as_username(), 256));
  RETURN_IF_ERROR(Printable(username, security.run_as_username()));
  RETURN_IF_ERROR(ValidateGroups(field / "supplemental_groups", security.supplemental_groups()));
  RETURN_IF_ERROR(ValidatePaths(field / "masked_paths", security.masked_paths()));
  RETURN_IF_ERROR(ValidatePaths(field / "readonly_paths", security.readonly_paths()));
  RETURN_IF_ERROR(ValidateSeccomp(field / "seccomp", security.seccomp()));
  RETURN_IF_ERROR(ValidateProfile(field / "apparmor", security.apparmor()));
  RETURN_IF_ERROR(ValidateOldProfile(field / "apparmor_profile", OldApparmorProfile(security)));
  return ValidateOldProfile(field / "seccomp_profile_path", OldSeccompProfile(security));
}

}  // namespace podvisor::cri
