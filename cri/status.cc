#include <string>

#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/handlers.h"
#include "cri/validate/field.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

constexpr char kRuntimeName[] = "podvisor";
constexpr char kApiVersion[] = "v1";
// Of the kubelet's own API, as all runtimes answer since the first: the kubelet compares it with nothing.
constexpr char kKubeletApiVersion[] = "0.1.0";

void AddCondition(const char* type, const char* reason, const absl::Status& status, v1::RuntimeStatus* out) {
  v1::RuntimeCondition* condition = out->add_conditions();
  condition->set_type(type);
  condition->set_status(status.ok());
  if (status.ok()) return;
  condition->set_reason(reason);
  condition->set_message(ToValidUtf8(status.message()));
}

}  // namespace

absl::Status Version(const Backend& backend, Call&, const v1::VersionRequest&, v1::VersionResponse* response) {
  response->set_version(kKubeletApiVersion);
  response->set_runtime_name(kRuntimeName);
  response->set_runtime_version(backend.version);
  response->set_runtime_api_version(kApiVersion);
  return absl::OkStatus();
}

absl::Status Status(const Backend& backend, Call&, const v1::StatusRequest& request, v1::StatusResponse* response) {
  AddCondition("RuntimeReady", "RuntimeNotReady", backend.pods->RuntimeReady(), response->mutable_status());
  AddCondition("NetworkReady", "NetworkPluginNotReady", backend.pods->NetworkReady(), response->mutable_status());
  for (const RuntimeHandlerInfo& info : backend.pods->Handlers()) {
    v1::RuntimeHandler* handler = response->add_runtime_handlers();
    handler->set_name(info.name);
    handler->mutable_features()->set_recursive_read_only_mounts(info.recursive_read_only_mounts);
    handler->mutable_features()->set_user_namespaces(info.user_namespaces);
  }
  response->mutable_features()->set_supplemental_groups_policy(true);
  if (request.verbose() && backend.verbose_status) {
    for (auto& [key, value] : backend.verbose_status()) (*response->mutable_info())[key] = ToValidUtf8(value);
  }
  return absl::OkStatus();
}

absl::Status RuntimeConfig(const Backend& backend, Call&, const v1::RuntimeConfigRequest&,
                           v1::RuntimeConfigResponse* response) {
  response->mutable_linux()->set_cgroup_driver(backend.cgroup_driver == CgroupDriver::kSystemd ? v1::SYSTEMD
                                                                                               : v1::CGROUPFS);
  return absl::OkStatus();
}

absl::Status UpdateRuntimeConfig(const Backend& backend, Call& call, const v1::UpdateRuntimeConfigRequest& request,
                                 v1::UpdateRuntimeConfigResponse*) {
  const std::string& cidr = request.runtime_config().network_config().pod_cidr();
  const Field field("runtime_config.network_config.pod_cidr");
  RETURN_IF_ERROR(NoLongerThan(field, cidr, 1024));
  // Empty, one, or (dual stack) several with commas between.
  for (absl::string_view part : absl::StrSplit(cidr, ',', absl::SkipEmpty())) {
    if (part.find_first_not_of("0123456789abcdefABCDEF.:/") != absl::string_view::npos ||
        part.find('/') == absl::string_view::npos) {
      return field.Error(absl::StrCat("must be networks such as \"10.1.0.0/24\": ", cidr));
    }
  }
  call.subject = absl::StrCat("pod CIDR \"", cidr, "\"");
  backend.pods->UpdatePodCidr(cidr);
  return absl::OkStatus();
}

}  // namespace podvisor::cri
