#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/convert/container.h"
#include "cri/convert/sandbox.h"
#include "cri/handlers.h"
#include "cri/validate/field.h"

namespace podvisor::cri {

// The containers' statuses are for the kubelet's evented PLEG, which takes them with `timestamp` as one snapshot.
absl::Status PodSandboxStatus(const Backend& backend, Call& call, const ::runtime::v1::PodSandboxStatusRequest& request,
                              ::runtime::v1::PodSandboxStatusResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  ASSIGN_OR_RETURN(
      SandboxStatus status,
      backend.pods->GetSandbox(request.pod_sandbox_id(), request.verbose() ? Detail::kVerbose : Detail::kBrief));
  response->set_timestamp(absl::ToUnixNanos(absl::Now()));
  SandboxToCri(status, response->mutable_status());
  ContainerFilter filter;
  filter.sandbox_id = status.id;
  for (const podvisor::ContainerStatus& container : backend.pods->ListContainers(filter)) {
    ContainerToCri(container, response->add_containers_statuses());
  }
  if (request.verbose()) {
    for (const auto& [key, value] : status.info) (*response->mutable_info())[key] = ToValidUtf8(value);
    if (!status.reason.empty()) (*response->mutable_info())["reason"] = ToValidUtf8(status.reason);
  }
  return absl::OkStatus();
}

absl::Status ListPodSandbox(const Backend& backend, Call&, const ::runtime::v1::ListPodSandboxRequest& request,
                            ::runtime::v1::ListPodSandboxResponse* response) {
  for (SandboxStatus& status : backend.pods->ListSandboxes(SandboxFilterFromCri(request.filter()))) {
    SandboxToCri(std::move(status), response->add_items());
  }
  return absl::OkStatus();
}

}  // namespace podvisor::cri
