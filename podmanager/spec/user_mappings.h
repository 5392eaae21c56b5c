// The id mappings of a pod's user namespace: all of its containers share that one.
#ifndef PODVISOR_PODMANAGER_SPEC_USER_MAPPINGS_H_
#define PODVISOR_PODMANAGER_SPEC_USER_MAPPINGS_H_

#include "absl/status/status.h"
#include "google/protobuf/repeated_field.h"
#include "podmanager/config.pb.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

using IdMappingList = google::protobuf::RepeatedPtrField<IdMapping>;

bool SameMappings(const Namespaces& namespaces, const IdMappingList& uids, const IdMappingList& gids);
// kInvalidArgument unless a container asks for what its sandbox has.
absl::Status CheckUserNamespace(const Namespaces& container, const Namespaces& sandbox);

void CopyMappings(const IdMappingList& mappings, google::protobuf::RepeatedPtrField<grpc::LinuxIDMapping>* oci);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_USER_MAPPINGS_H_
