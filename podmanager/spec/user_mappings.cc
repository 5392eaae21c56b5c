#include "podmanager/spec/user_mappings.h"

#include <algorithm>

namespace podvisor {
namespace {

bool Same(const IdMappingList& a, const IdMappingList& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const IdMapping& x, const IdMapping& y) {
    return x.host_id() == y.host_id() && x.container_id() == y.container_id() && x.length() == y.length();
  });
}

}  // namespace

bool SameMappings(const Namespaces& namespaces, const IdMappingList& uids, const IdMappingList& gids) {
  return Same(namespaces.uids(), uids) && Same(namespaces.gids(), gids);
}

absl::Status CheckUserNamespace(const Namespaces& container, const Namespaces& sandbox) {
  if (container.user_namespace() != sandbox.user_namespace())
    return absl::InvalidArgumentError(
        sandbox.user_namespace() ? "userns_options: the sandbox has a user namespace, the container has to ask "
                                   "for the same one"
                                 : "userns_options: the sandbox has no user namespace of its own");
  if (!SameMappings(sandbox, container.uids(), container.gids()))
    return absl::InvalidArgumentError("userns_options: uids and gids differ from the sandbox's");
  return absl::OkStatus();
}

void CopyMappings(const IdMappingList& mappings, google::protobuf::RepeatedPtrField<grpc::LinuxIDMapping>* oci) {
  for (const IdMapping& mapping : mappings) {
    grpc::LinuxIDMapping& copy = *oci->Add();
    copy.set_hostid(mapping.host_id());
    copy.set_containerid(mapping.container_id());
    copy.set_size(mapping.length());
  }
}

}  // namespace podvisor
