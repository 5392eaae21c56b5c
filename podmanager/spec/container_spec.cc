#include "podmanager/spec/container_spec.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "podmanager/spec/capabilities.h"
#include "podmanager/spec/guest_paths.h"
#include "podmanager/spec/mounts.h"
#include "podmanager/spec/process_spec.h"
#include "podmanager/spec/resources_spec.h"
#include "podmanager/spec/seccomp.h"
#include "podmanager/spec/user_mappings.h"

namespace podvisor {
namespace {

// For our own agent; a stock Kata agent passes them over.
constexpr char kAllGuestDevices[] = "podvisor.guest-devices";  // "all": every device of the guest is in /dev
constexpr char kUnifiedPrefix[] = "podvisor.cgroup.unified/";  // + file of the container's cgroup: its value

void AllowDevice(grpc::LinuxResources* resources, const char* type, int64_t major, int64_t minor, const char* access) {
  grpc::LinuxDeviceCgroup& rule = *resources->add_devices();
  rule.set_allow(true);
  rule.set_type(type);
  rule.set_major(major);
  rule.set_minor(minor);
  rule.set_access(access);
}

// runc's set. -1 stands for any number.
void AddDeviceRules(const ContainerConfig& config, grpc::LinuxResources* resources) {
  if (config.privileged()) return AllowDevice(resources, "a", -1, -1, "rwm");
  grpc::LinuxDeviceCgroup& none = *resources->add_devices();
  none.set_allow(false);
  none.set_type("a");
  none.set_major(-1);
  none.set_minor(-1);
  none.set_access("rwm");
  AllowDevice(resources, "c", -1, -1, "m");
  AllowDevice(resources, "b", -1, -1, "m");
  for (int64_t minor : {3, 5, 7, 8, 9}) AllowDevice(resources, "c", 1, minor, "rwm");  // null zero full random urandom
  for (int64_t minor : {0, 1, 2}) AllowDevice(resources, "c", 5, minor, "rwm");        // tty console ptmx
  AllowDevice(resources, "c", 136, -1, "rwm");                                         // pts
}

absl::Status CheckDevices(const ContainerConfig& config) {
  static const std::set<std::string> kInEveryContainer = {"/dev/null",   "/dev/zero",    "/dev/full",
                                                          "/dev/random", "/dev/urandom", "/dev/tty"};
  for (const DeviceConfig& device : config.devices()) {
    if (kInEveryContainer.count(device.host_path()) > 0 &&
        (device.container_path().empty() || device.container_path() == device.host_path()))
      continue;
    return absl::UnimplementedError(
        absl::StrCat("device ", device.host_path(), ": devices of the host can't be given to a pod in a VM yet"));
  }
  return absl::OkStatus();
}

absl::Status CheckNamespaces(const ContainerConfig& config, const SandboxConfig& sandbox, AgentKind agent) {
  RETURN_IF_ERROR(CheckUserNamespace(config.namespaces(), sandbox.namespaces()));
  if (config.namespaces().user_namespace() && agent == AgentKind::kPlainKata)
    return absl::UnimplementedError("userns_options: a stock Kata agent knows no user namespaces");
  if (config.namespaces().pid() == TARGET && agent == AgentKind::kPlainKata)
    return absl::UnimplementedError(absl::StrCat("pid namespace of container ", config.namespaces().target_id(),
                                                 ": a stock Kata agent can't join another container's"));
  return absl::OkStatus();
}

absl::Status SetSeccomp(const ContainerSpecInput& input, const grpc::LinuxCapabilities& capabilities,
                        grpc::Linux* linux) {
  const ContainerConfig& config = *input.config;
  if (config.privileged() || !config.has_seccomp()) return absl::OkStatus();
  switch (config.seccomp().type()) {
    case SecurityProfile::RUNTIME_DEFAULT:
      *linux->mutable_seccomp() = DefaultSeccompProfile(BoundingSet(capabilities));
      return absl::OkStatus();
    case SecurityProfile::UNCONFINED:
      return absl::OkStatus();
    case SecurityProfile::LOCALHOST: {
      ASSIGN_OR_RETURN(*linux->mutable_seccomp(), ParseSeccompProfile(input.seccomp_json, BoundingSet(capabilities)),
                       "seccomp profile ", config.seccomp().localhost_ref());
      return absl::OkStatus();
    }
    default:
      return absl::InvalidArgumentError(absl::StrCat("seccomp: unknown profile type ", config.seccomp().type()));
  }
}

absl::Status CheckRestrictedPaths(const ContainerConfig& config) {
  for (const auto* paths : {&config.masked_paths(), &config.readonly_paths()})
    for (const std::string& path : *paths)
      if (!absl::StartsWith(path, "/"))
        return absl::InvalidArgumentError(absl::StrCat("masked or read-only path \"", path, "\" is not absolute"));
  return absl::OkStatus();
}

absl::Status BuildLinux(const ContainerSpecInput& input, const grpc::LinuxCapabilities& capabilities,
                        grpc::Linux* linux) {
  const ContainerConfig& config = *input.config;
  // The agent puts the pod's own ipc and uts namespaces in place of these; it makes the pid namespace by itself, and a
  // stock Kata agent fails to exec where the spec names one. The network is the VM's.
  for (const char* type : {"mount", "ipc", "uts"}) linux->add_namespaces()->set_type(type);
  // Kata's runtime takes it out before its agent sees the spec. The root of a user namespace can mount no other.
  const bool own_users = config.namespaces().user_namespace();
  if (input.agent == AgentKind::kPodvisor && (own_users || !config.privileged()))
    linux->add_namespaces()->set_type("cgroup");
  if (own_users) {
    linux->add_namespaces()->set_type("user");
    CopyMappings(config.namespaces().uids(), linux->mutable_uidmappings());
    CopyMappings(config.namespaces().gids(), linux->mutable_gidmappings());
  }
  if (config.namespaces().pid() == TARGET) {
    grpc::LinuxNamespace& pid = *linux->add_namespaces();
    pid.set_type("pid");
    pid.set_path(absl::StrCat("container:", config.namespaces().target_id()));
  }
  linux->set_cgroupspath(absl::StrCat("/podvisor/", input.container_id));
  ASSIGN_OR_RETURN(*linux->mutable_resources(), BuildResources(config.resources()));
  AddDeviceRules(config, linux->mutable_resources());
  if (input.agent == AgentKind::kPlainKata) *linux->mutable_sysctl() = input.sandbox->sysctls();
  if (!config.privileged()) {
    RETURN_IF_ERROR(CheckRestrictedPaths(config));
    *linux->mutable_maskedpaths() = config.masked_paths();
    *linux->mutable_readonlypaths() = config.readonly_paths();
  }
  for (const MountConfig& mount : config.mounts())
    if (mount.propagation() == HOST_TO_CONTAINER) linux->set_rootfspropagation("rslave");
  return SetSeccomp(input, capabilities, linux);
}

}  // namespace

absl::StatusOr<grpc::CreateContainerRequest> BuildCreateContainer(const ContainerSpecInput& input) {
  const ContainerConfig& config = *input.config;
  if (config.privileged() && !input.sandbox->privileged())
    return absl::InvalidArgumentError("privileged container in a sandbox that is not privileged");
  RETURN_IF_ERROR(CheckNamespaces(config, *input.sandbox, input.agent));
  RETURN_IF_ERROR(CheckDevices(config));

  grpc::CreateContainerRequest request;
  request.set_container_id(input.container_id);
  ASSIGN_OR_RETURN(std::vector<grpc::Storage> storages, BuildStorages(input));
  for (grpc::Storage& storage : storages) *request.add_storages() = std::move(storage);
  const NamespaceMode pid = config.namespaces().pid();
  request.set_sandbox_pidns(pid == POD || pid == NODE);  // the node of these containers is the VM

  grpc::Spec& spec = *request.mutable_oci();
  spec.set_version("1.0.2");
  ASSIGN_OR_RETURN(*spec.mutable_process(), BuildProcess(input));
  spec.mutable_root()->set_path(absl::StrCat(GuestContainerDir(input.container_id), "/rootfs"));
  spec.mutable_root()->set_readonly(config.readonly_rootfs());
  ASSIGN_OR_RETURN(std::vector<grpc::Mount> mounts, BuildMounts(input));
  for (grpc::Mount& mount : mounts) *spec.add_mounts() = std::move(mount);
  RETURN_IF_ERROR(BuildLinux(input, spec.process().capabilities(), spec.mutable_linux()));
  if (config.privileged()) (*spec.mutable_annotations())[kAllGuestDevices] = "all";
  for (const auto& [file, value] : config.resources().unified())
    (*spec.mutable_annotations())[absl::StrCat(kUnifiedPrefix, file)] = value;
  return request;
}

}  // namespace podvisor
