#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "cri/handlers.h"
#include "cri/validate/field.h"

namespace podvisor::cri {
namespace {

absl::Status TakeId(const std::string& id, Call& call) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), id));
  call.subject = absl::StrCat("container ", id);
  return absl::OkStatus();
}

}  // namespace

absl::Status StartContainer(const Backend& backend, Call& call, const ::runtime::v1::StartContainerRequest& request,
                            ::runtime::v1::StartContainerResponse*) {
  RETURN_IF_ERROR(TakeId(request.container_id(), call));
  return backend.pods->StartContainer(request.container_id(), call.deadline);
}

absl::Status StopContainer(const Backend& backend, Call& call, const ::runtime::v1::StopContainerRequest& request,
                           ::runtime::v1::StopContainerResponse*) {
  RETURN_IF_ERROR(TakeId(request.container_id(), call));
  RETURN_IF_ERROR(NotNegative(Field("timeout"), request.timeout()));
  return backend.pods->StopContainer(request.container_id(), absl::Seconds(request.timeout()), call.deadline);
}

absl::Status RemoveContainer(const Backend& backend, Call& call, const ::runtime::v1::RemoveContainerRequest& request,
                             ::runtime::v1::RemoveContainerResponse*) {
  RETURN_IF_ERROR(TakeId(request.container_id(), call));
  return backend.pods->RemoveContainer(request.container_id(), call.deadline);
}

}  // namespace podvisor::cri
