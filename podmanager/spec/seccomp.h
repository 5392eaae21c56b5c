// Seccomp profiles as the agent gets them.
#ifndef PODVISOR_PODMANAGER_SPEC_SECCOMP_H_
#define PODVISOR_PODMANAGER_SPEC_SECCOMP_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

// The profile of containers that name none: an allow-list of what programs use, as Docker and containerd have it, with
// more for those that hold the capabilities of `bounding` ("CAP_SYS_ADMIN").
grpc::LinuxSeccomp DefaultSeccompProfile(const std::set<std::string>& bounding);

// The file of a LOCALHOST profile: reads it. kInvalidArgument if `path` is not absolute, kNotFound if there is none,
// kResourceExhausted above 1 MiB. The content is checked by ParseSeccompProfile().
absl::StatusOr<std::string> LoadSeccompProfile(const std::string& path);

// Reads the JSON form of an OCI seccomp profile (and Docker's, with archMap and conditions on capabilities).
// kInvalidArgument says where it is wrong.
absl::StatusOr<grpc::LinuxSeccomp> ParseSeccompProfile(const std::string& json, const std::set<std::string>& bounding);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_SECCOMP_H_
