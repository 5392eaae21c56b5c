#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "cri/handlers.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

// The kubelet and crictl take answers of up to 16 MiB, all included: more would fail the whole call at the client.
constexpr size_t kMaxOutputBytes = (16 << 20) - 1024;

// Cuts the outputs to kMaxOutputBytes together. Each is entitled to half, and to what the other leaves.
void Cut(std::string& out, std::string& err) {
  constexpr size_t kHalf = kMaxOutputBytes / 2;
  if (out.size() + err.size() <= kMaxOutputBytes) return;
  const size_t err_share =
      std::min(err.size(), std::max(kHalf, kMaxOutputBytes - std::min(out.size(), kMaxOutputBytes)));
  err.resize(err_share);
  out.resize(std::min(out.size(), kMaxOutputBytes - err_share));
}

}  // namespace

absl::Status ExecSync(const Backend& backend, Call& call, const ::runtime::v1::ExecSyncRequest& request,
                      ::runtime::v1::ExecSyncResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  const Field cmd("cmd");
  if (request.cmd().empty()) return cmd.Error("must not be empty");
  RETURN_IF_ERROR(ValidateCommand(cmd, request.cmd()));
  RETURN_IF_ERROR(NotNegative(Field("timeout"), request.timeout()));
  const std::vector<std::string> command(request.cmd().begin(), request.cmd().end());
  ASSIGN_OR_RETURN(ExecResult result, backend.pods->ExecSync(request.container_id(), command,
                                                             absl::Seconds(request.timeout()), call.deadline));
  Cut(result.out, result.err);
  response->set_stdout(std::move(result.out));
  response->set_stderr(std::move(result.err));
  response->set_exit_code(result.exit_code);
  return absl::OkStatus();
}

}  // namespace podvisor::cri
