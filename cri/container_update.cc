#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {

absl::Status UpdateContainerResources(const Backend& backend, Call& call,
                                      const ::runtime::v1::UpdateContainerResourcesRequest& request,
                                      ::runtime::v1::UpdateContainerResourcesResponse*) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  if (request.has_windows()) return Field("windows").Error("is not possible: the pods of this runtime are Linux");
  RETURN_IF_ERROR(ValidateResources(Field("linux"), request.linux()));
  return backend.pods->UpdateContainerResources(request.container_id(), ResourcesFromCri(request.linux()),
                                                call.deadline);
}

absl::Status ReopenContainerLog(const Backend& backend, Call& call,
                                const ::runtime::v1::ReopenContainerLogRequest& request,
                                ::runtime::v1::ReopenContainerLogResponse*) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  return backend.pods->ReopenContainerLog(request.container_id());
}

}  // namespace podvisor::cri
