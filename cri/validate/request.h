// Whether a request makes sense in itself, checked in full before anything is touched. What depends on the state of the
// machine (does the image exist, is the name taken) is not looked at here.
//
// All functions answer kInvalidArgument that names the field, and change nothing. Sources of the rules: the comments of
// CRI's api.proto, what the kubelet sends, and what would otherwise fail late or be misread by a guest.
#ifndef PODVISOR_CRI_VALIDATE_REQUEST_H_
#define PODVISOR_CRI_VALIDATE_REQUEST_H_

#include "absl/status/status.h"
#include "cri/validate/field.h"
#include "third_party/wire/cri_messages.h"

namespace podvisor::cri {

absl::Status ValidateSandboxConfig(const Field& field, const ::runtime::v1::PodSandboxConfig& config);
absl::Status ValidateContainerConfig(const Field& field, const ::runtime::v1::ContainerConfig& config);
absl::Status ValidateMount(const Field& field, const ::runtime::v1::Mount& mount);
absl::Status ValidateResources(const Field& field, const ::runtime::v1::LinuxContainerResources& resources);
absl::Status ValidateSandboxSecurity(const Field& field, const ::runtime::v1::LinuxSandboxSecurityContext& security);
absl::Status ValidateContainerSecurity(const Field& field,
                                       const ::runtime::v1::LinuxContainerSecurityContext& security);
absl::Status ValidateNamespaces(const Field& field, const ::runtime::v1::NamespaceOption& options);
// An image that is named, by reference or id.
absl::Status ValidateImageSpec(const Field& field, const ::runtime::v1::ImageSpec& image);
absl::Status ValidateAuth(const Field& field, const ::runtime::v1::AuthConfig& auth);

using StringMap = ::google::protobuf::Map<std::string, std::string>;
absl::Status ValidateLabels(const Field& field, const StringMap& labels);
absl::Status ValidateAnnotations(const Field& field, const StringMap& annotations);
// A command line that execve() would take.
absl::Status ValidateCommand(const Field& field, const ::google::protobuf::RepeatedPtrField<std::string>& command);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_VALIDATE_REQUEST_H_
