#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/handlers.h"
#include "cri/validate/field.h"

namespace podvisor::cri {

absl::Status StopPodSandbox(const Backend& backend, Call& call, const ::runtime::v1::StopPodSandboxRequest& request,
                            ::runtime::v1::StopPodSandboxResponse*) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  return backend.pods->StopPodSandbox(request.pod_sandbox_id(), call.deadline);
}

absl::Status RemovePodSandbox(const Backend& backend, Call& call, const ::runtime::v1::RemovePodSandboxRequest& request,
                              ::runtime::v1::RemovePodSandboxResponse*) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  return backend.pods->RemovePodSandbox(request.pod_sandbox_id(), call.deadline);
}

}  // namespace podvisor::cri
