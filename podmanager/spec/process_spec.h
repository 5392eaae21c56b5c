// The process of a container: arguments, environment, user, rights.
#ifndef PODVISOR_PODMANAGER_SPEC_PROCESS_SPEC_H_
#define PODVISOR_PODMANAGER_SPEC_PROCESS_SPEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "podmanager/spec/container_spec.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

absl::StatusOr<grpc::Process> BuildProcess(const ContainerSpecInput& input);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SPEC_PROCESS_SPEC_H_
