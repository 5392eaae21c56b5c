#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/handlers.h"
#include "cri/validate/field.h"

namespace podvisor::cri {

absl::Status CheckpointContainer(const Backend& backend, Call& call,
                                 const ::runtime::v1::CheckpointContainerRequest& request,
                                 ::runtime::v1::CheckpointContainerResponse*) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  RETURN_IF_ERROR(NotNegative(Field("timeout"), request.timeout()));
  RETURN_IF_ERROR(backend.pods->GetContainer(request.container_id(), Detail::kBrief).status());
  return absl::FailedPreconditionError(absl::StrCat(
      "container ", request.container_id(),
      ": a single container of a VM can't be checkpointed: its processes' state is the guest kernel's, and "
      "guests have no CRIU to take it out; use a runtime class without VM for pods that need checkpoints"));
}

}  // namespace podvisor::cri
