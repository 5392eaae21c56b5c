#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/convert/container.h"
#include "cri/handlers.h"
#include "cri/validate/field.h"

namespace podvisor::cri {

absl::Status ContainerStatus(const Backend& backend, Call& call, const ::runtime::v1::ContainerStatusRequest& request,
                             ::runtime::v1::ContainerStatusResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  ASSIGN_OR_RETURN(
      podvisor::ContainerStatus status,
      backend.pods->GetContainer(request.container_id(), request.verbose() ? Detail::kVerbose : Detail::kBrief));
  ContainerToCri(status, response->mutable_status());
  if (request.verbose()) {
    for (const auto& [key, value] : status.info) (*response->mutable_info())[key] = ToValidUtf8(value);
  }
  return absl::OkStatus();
}

absl::Status ListContainers(const Backend& backend, Call&, const ::runtime::v1::ListContainersRequest& request,
                            ::runtime::v1::ListContainersResponse* response) {
  for (podvisor::ContainerStatus& status : backend.pods->ListContainers(ContainerFilterFromCri(request.filter()))) {
    ContainerToCri(std::move(status), response->add_containers());
  }
  return absl::OkStatus();
}

}  // namespace podvisor::cri
