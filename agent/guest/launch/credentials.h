// Limits, identity and rights of a program. Runs in the child, in this order: bounding set, seccomp filter if it needs
// a right to be loaded, identity, capabilities, seccomp filter otherwise.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_CREDENTIALS_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_CREDENTIALS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/guest/launch/user.h"
#include "google/protobuf/repeated_field.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

using CapabilityNames = google::protobuf::RepeatedPtrField<std::string>;

// -1 for an unknown name. With or without "CAP_".
int CapabilityNumber(absl::string_view name);
// A bit per capability; unknown names are left out, as runc does: they are newer than we are.
uint64_t CapabilityMask(const CapabilityNames& names);
// RLIMIT_* of "RLIMIT_NOFILE"; -1 if unknown.
int RlimitNumber(absl::string_view name);

absl::Status ApplyRlimits(const grpc::Process& process);
absl::Status DropBoundingSet(const grpc::LinuxCapabilities& capabilities);
absl::Status BecomeUser(const ResolvedUser& user);
// After BecomeUser, which keeps the permitted set.
absl::Status ApplyCapabilities(const grpc::LinuxCapabilities& capabilities);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_CREDENTIALS_H_
