#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cri/convert/sandbox.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

// The empty name is the default handler, which always exists.
absl::Status ValidateHandler(const Backend& backend, const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  std::vector<std::string> known;
  for (const RuntimeHandlerInfo& info : backend.pods->Handlers()) {
    if (info.name == name) return absl::OkStatus();
    if (!info.name.empty()) known.push_back(info.name);
  }
  return Field("runtime_handler")
      .Error(absl::StrCat("no handler \"", name, "\" is configured",
                          known.empty() ? std::string(": there is only the default, \"\"")
                                        : absl::StrCat(": there are ", absl::StrJoin(known, ", ")),
                          "; name it under runtimes in podvisord's configuration"));
}

}  // namespace

absl::Status RunPodSandbox(const Backend& backend, Call& call, const ::runtime::v1::RunPodSandboxRequest& request,
                           ::runtime::v1::RunPodSandboxResponse* response) {
  const auto& metadata = request.config().metadata();
  RETURN_IF_ERROR(ValidateSandboxConfig(Field("config"), request.config()));
  RETURN_IF_ERROR(ValidateHandler(backend, request.runtime_handler()));
  call.subject = absl::StrCat("pod ", metadata.namespace_(), "/", metadata.name());
  ASSIGN_OR_RETURN(std::string id, backend.pods->RunPodSandbox(SandboxFromCri(request.config()),
                                                               request.runtime_handler(), call.deadline));
  absl::StrAppend(&call.subject, ", sandbox ", id);
  response->set_pod_sandbox_id(std::move(id));
  return absl::OkStatus();
}

}  // namespace podvisor::cri
