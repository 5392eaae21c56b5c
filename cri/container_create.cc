#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/convert/container.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {

// The request's sandbox_config is the one of RunPodSandbox once more: what was stored then counts, so it is not looked
// at.
absl::Status CreateContainer(const Backend& backend, Call& call, const ::runtime::v1::CreateContainerRequest& request,
                             ::runtime::v1::CreateContainerResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  RETURN_IF_ERROR(ValidateContainerConfig(Field("config"), request.config()));
  ASSIGN_OR_RETURN(std::string id, backend.pods->CreateContainer(request.pod_sandbox_id(),
                                                                 ContainerFromCri(request.config()), call.deadline));
  absl::StrAppend(&call.subject, ", container ", id, " (", request.config().metadata().name(), ")");
  response->set_container_id(std::move(id));
  return absl::OkStatus();
}

}  // namespace podvisor::cri
