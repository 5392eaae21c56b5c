#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {

absl::Status UpdatePodSandboxResources(const Backend& backend, Call& call,
                                       const ::runtime::v1::UpdatePodSandboxResourcesRequest& request,
                                       ::runtime::v1::UpdatePodSandboxResourcesResponse*) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  RETURN_IF_ERROR(ValidateResources(Field("overhead"), request.overhead()));
  RETURN_IF_ERROR(ValidateResources(Field("resources"), request.resources()));
  return backend.pods->UpdateSandboxResources(request.pod_sandbox_id(), ResourcesFromCri(request.overhead()),
                                              ResourcesFromCri(request.resources()), call.deadline);
}

}  // namespace podvisor::cri
