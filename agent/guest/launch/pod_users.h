// The user namespace that a pod's containers live in.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_POD_USERS_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_POD_USERS_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "base/user_namespace.h"
#include "google/protobuf/repeated_field.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

struct PodUsers {
  int fd = -1;  // of the namespace, borrowed; -1: it is the guest's own
  IdMappings mappings;
  // The containers' root, as the guest counts.
  uid_t root_uid = 0;
  gid_t root_gid = 0;

  bool AreMapped() const { return fd >= 0; }
};

using OciIdMappings = google::protobuf::RepeatedPtrField<grpc::LinuxIDMapping>;
IdMappings FromOci(const OciIdMappings& uids, const OciIdMappings& gids);
bool HasUserNamespace(const grpc::Spec& spec);

// What is the containers' (a file, a pipe) is their root's: success where that is the guest's.
absl::Status GiveToRoot(const PodUsers& users, const std::string& path);
void GiveToRoot(const PodUsers& users, int fd);

// Joins the user namespace `fd` and becomes its root, with all rights there and none outside.
absl::Status BecomeNamespaceRoot(int fd);
// The second half of that, for who has joined already.
absl::Status BecomeRoot();

// A mount whose files belong to the containers: puts in the place of what is mounted at `path` the same one with owners
// as `users` maps them. kInvalidArgument if the file system can't.
absl::Status MapOwners(const PodUsers& users, const std::string& path);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_POD_USERS_H_
