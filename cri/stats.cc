#include "cri/convert/stats.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/handlers.h"
#include "cri/usage_lists.h"
#include "cri/validate/field.h"

namespace podvisor::cri {
namespace {

using StringMap = ::google::protobuf::Map<std::string, std::string>;

bool HasLabels(const StringMap& labels, const StringMap& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&labels](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

}  // namespace

std::vector<ContainerUsage> ContainerUsages(const Backend& backend, const Call& call,
                                            const ::runtime::v1::ContainerStatsFilter& filter) {
  SandboxFilter sandboxes;
  sandboxes.id = filter.pod_sandbox_id();
  std::vector<ContainerUsage> found;
  for (PodUsage& pod : backend.pods->ListUsage(sandboxes, Detail::kBrief, call.deadline)) {
    for (ContainerUsage& container : pod.containers) {
      if (absl::StartsWith(container.status.id, filter.id()) &&
          HasLabels(container.status.config->labels(), filter.label_selector())) {
        found.push_back(std::move(container));
      }
    }
  }
  return found;
}

std::vector<PodUsage> PodUsages(const Backend& backend, const Call& call,
                                const ::runtime::v1::PodSandboxStatsFilter& filter) {
  SandboxFilter sandboxes;
  sandboxes.id = filter.id();
  sandboxes.labels.insert(filter.label_selector().begin(), filter.label_selector().end());
  return backend.pods->ListUsage(sandboxes, Detail::kBrief, call.deadline);
}

absl::Status ContainerStats(const Backend& backend, Call& call, const ::runtime::v1::ContainerStatsRequest& request,
                            ::runtime::v1::ContainerStatsResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  ASSIGN_OR_RETURN(const podvisor::ContainerStatus status,
                   backend.pods->GetContainer(request.container_id(), Detail::kBrief));
  if (status.state == ContainerState::kExited)
    return absl::FailedPreconditionError(absl::StrCat("container ", status.id, " has exited: it uses nothing"));
  ASSIGN_OR_RETURN(const PodUsage pod, backend.pods->GetUsage(status.sandbox_id, Detail::kBrief, call.deadline));
  for (const ContainerUsage& container : pod.containers) {
    if (container.status.id == status.id) ContainerUsageToCri(container, response->mutable_stats());
  }
  if (!response->has_stats()) return absl::NotFoundError(absl::StrCat("container ", status.id, " has just exited"));
  return absl::OkStatus();
}

absl::Status ListContainerStats(const Backend& backend, Call& call,
                                const ::runtime::v1::ListContainerStatsRequest& request,
                                ::runtime::v1::ListContainerStatsResponse* response) {
  for (const ContainerUsage& container : ContainerUsages(backend, call, request.filter()))
    ContainerUsageToCri(container, response->add_stats());
  return absl::OkStatus();
}

absl::Status PodSandboxStats(const Backend& backend, Call& call, const ::runtime::v1::PodSandboxStatsRequest& request,
                             ::runtime::v1::PodSandboxStatsResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  ASSIGN_OR_RETURN(const PodUsage pod, backend.pods->GetUsage(request.pod_sandbox_id(), Detail::kBrief, call.deadline));
  PodUsageToCri(pod, response->mutable_stats());
  return absl::OkStatus();
}

absl::Status ListPodSandboxStats(const Backend& backend, Call& call,
                                 const ::runtime::v1::ListPodSandboxStatsRequest& request,
                                 ::runtime::v1::ListPodSandboxStatsResponse* response) {
  for (const PodUsage& pod : PodUsages(backend, call, request.filter())) PodUsageToCri(pod, response->add_stats());
  return absl::OkStatus();
}

}  // namespace podvisor::cri
