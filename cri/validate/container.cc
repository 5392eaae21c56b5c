#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxEnvBytes = 2 << 20;

absl::Status ValidateEnv(const Field& field, const ::google::protobuf::RepeatedPtrField<v1::KeyValue>& envs) {
  size_t total = 0;
  for (int i = 0; i < envs.size(); ++i) {
    const Field entry = field[i];
    const std::string& key = envs[i].key();
    RETURN_IF_ERROR(NotEmpty(entry / "key", key));
    RETURN_IF_ERROR(NoNul(entry / "key", key));
    RETURN_IF_ERROR(NoNul(entry / "value", envs[i].value()));
    if (key.find('=') != std::string::npos) return (entry / "key").Error(absl::StrCat("must not contain '=': ", key));
    total += key.size() + envs[i].value().size() + 2;
  }
  if (total > kMaxEnvBytes) return field.Error(absl::StrCat("must have at most ", kMaxEnvBytes, " bytes in all"));
  return absl::OkStatus();
}

absl::Status ValidateDevice(const Field& field, const v1::Device& device) {
  RETURN_IF_ERROR(AbsolutePath(field / "container_path", device.container_path()));
  RETURN_IF_ERROR(AbsolutePath(field / "host_path", device.host_path()));
  if (device.permissions().find_first_not_of("rwm") != std::string::npos) {
    return (field / "permissions").Error(absl::StrCat("must consist of 'r', 'w' and 'm': ", device.permissions()));
  }
  return absl::OkStatus();
}

absl::Status ValidateIdMappings(const Field& field,
                                const ::google::protobuf::RepeatedPtrField<v1::IDMapping>& mappings) {
  for (int i = 0; i < mappings.size(); ++i) {
    if (mappings[i].length() == 0) return (field[i] / "length").Error("must be at least 1");
    for (const uint64_t first : {mappings[i].host_id(), mappings[i].container_id()}) {
      if (first + mappings[i].length() > 0xffffffffULL) return field[i].Error("must end below 4294967295");
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateImageMount(const Field& field, const v1::Mount& mount) {
  RETURN_IF_ERROR(ValidateImageSpec(field / "image", mount.image()));
  if (!mount.host_path().empty()) return (field / "host_path").Error("must be empty when image is given");
  if (!mount.readonly()) return (field / "readonly").Error("must be true when image is given: images are read-only");
  return RelativePathInside(field / "image_sub_path", mount.image_sub_path());
}

}  // namespace

absl::Status ValidateMount(const Field& field, const v1::Mount& mount) {
  RETURN_IF_ERROR(AbsolutePath(field / "container_path", mount.container_path()));
  if (!v1::MountPropagation_IsValid(mount.propagation())) {
    return (field / "propagation").Error(absl::StrCat("is not known: ", static_cast<int>(mount.propagation())));
  }
  if (mount.recursive_read_only()) {
    const Field recursive = field / "recursive_read_only";
    if (!mount.readonly()) return recursive.Error("needs readonly");
    if (mount.propagation() != v1::PROPAGATION_PRIVATE) return recursive.Error("needs propagation PRIVATE");
  }
  RETURN_IF_ERROR(ValidateIdMappings(field / "uidMappings", mount.uidmappings()));
  RETURN_IF_ERROR(ValidateIdMappings(field / "gidMappings", mount.gidmappings()));
  if (mount.uidmappings().empty() != mount.gidmappings().empty()) {
    return (field / "uidMappings").Error("must be given with gidMappings, or neither");
  }
  if (mount.has_image() && !mount.image().image().empty()) return ValidateImageMount(field, mount);
  if (!mount.image_sub_path().empty()) return (field / "image_sub_path").Error("needs image");
  return AbsolutePath(field / "host_path", mount.host_path());
}

absl::Status ValidateContainerConfig(const Field& field, const v1::ContainerConfig& config) {
  const Field metadata = field / "metadata";
  const Field name = metadata / "name";
  RETURN_IF_ERROR(NotEmpty(name, config.metadata().name()));
  RETURN_IF_ERROR(NoLongerThan(name, config.metadata().name(), kMaxNameBytes));
  RETURN_IF_ERROR(Printable(name, config.metadata().name()));
  if (config.metadata().name().find('/') != std::string::npos) return name.Error("must not contain '/'");
  RETURN_IF_ERROR(ValidateImageSpec(field / "image", config.image()));
  RETURN_IF_ERROR(ValidateCommand(field / "command", config.command()));
  RETURN_IF_ERROR(ValidateCommand(field / "args", config.args()));
  if (!config.working_dir().empty()) {
    // The image decides what is there; ".." is as harmless as the path it resolves to in the container.
    const Field working_dir = field / "working_dir";
    RETURN_IF_ERROR(NoNul(working_dir, config.working_dir()));
    RETURN_IF_ERROR(NoLongerThan(working_dir, config.working_dir(), 4095));
    if (config.working_dir().front() != '/') {
      return working_dir.Error(absl::StrCat("must be an absolute path: ", config.working_dir()));
    }
  }
  RETURN_IF_ERROR(ValidateEnv(field / "envs", config.envs()));
  const Field mounts = field / "mounts";
  absl::flat_hash_set<absl::string_view> mount_points;
  for (int i = 0; i < config.mounts_size(); ++i) {
    RETURN_IF_ERROR(ValidateMount(mounts[i], config.mounts(i)));
    if (!mount_points.insert(config.mounts(i).container_path()).second) {
      const Field mount = mounts[i];
      return (mount / "container_path").Error(absl::StrCat("is mounted on twice: ", config.mounts(i).container_path()));
    }
  }
  const Field devices = field / "devices";
  for (int i = 0; i < config.devices_size(); ++i) {
    RETURN_IF_ERROR(ValidateDevice(devices[i], config.devices(i)));
  }
  RETURN_IF_ERROR(ValidateLabels(field / "labels", config.labels()));
  RETURN_IF_ERROR(ValidateAnnotations(field / "annotations", config.annotations()));
  RETURN_IF_ERROR(RelativePathInside(field / "log_path", config.log_path()));
  if (config.stdin_once() && !config.stdin()) return (field / "stdin_once").Error("needs stdin");
  if (config.has_windows()) return (field / "windows").Error("is not possible: the pods of this runtime are Linux");
  if (config.cdi_devices_size() > 0) {
    return (field / "CDI_devices").Error("is not supported: name the device in devices");
  }
  if (!v1::Signal_IsValid(config.stop_signal())) {
    return (field / "stop_signal").Error(absl::StrCat("is not known: ", static_cast<int>(config.stop_signal())));
  }
  const Field linux_field = field / "linux";
  RETURN_IF_ERROR(ValidateResources(linux_field / "resources", config.linux().resources()));
  return ValidateContainerSecurity(linux_field / "security_context", config.linux().security_context());
}

}  // namespace podvisor::cri
