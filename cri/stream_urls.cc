// Exec, Attach, PortForward: each answers with a URL of the streaming server, where the kubelet (or crictl) goes on.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cri/handlers.h"
#include "cri/streaming/stream_request.h"
#include "cri/validate/request.h"

namespace podvisor::cri {
namespace {

constexpr int kMaxPorts = 64;  // in one request; two channels each have to fit into a byte

absl::StatusOr<std::string> MakeUrl(const Backend& backend, StreamRequest request) {
  if (backend.streaming == nullptr)
    return absl::FailedPreconditionError("streaming is off: set streaming.address in podvisord's configuration");
  return backend.streaming->MakeUrl(std::move(request));
}

// Exec and Attach say the same of their streams.
template <typename Request>
absl::StatusOr<StreamOptions> Options(const Request& request) {
  StreamOptions options;
  options.tty = request.tty();
  options.want_stdin = request.stdin();
  options.want_stdout = request.stdout();
  options.want_stderr = request.stderr();
  if (options.tty && options.want_stderr)
    return Field("stderr").Error("must not be true with tty: a terminal has one output");
  if (!options.want_stdin && !options.want_stdout && !options.want_stderr)
    return Field("stdin").Error("one of stdin, stdout and stderr must be true");
  return options;
}

// The full id of a container that runs.
absl::StatusOr<std::string> RunningContainer(const Backend& backend, const std::string& id, absl::string_view what) {
  ASSIGN_OR_RETURN(const podvisor::ContainerStatus status, backend.pods->GetContainer(id, Detail::kBrief));
  if (status.state == ContainerState::kRunning) return status.id;
  return absl::FailedPreconditionError(
      absl::StrCat("container ", status.id, " does not run: ", what, " needs a running one"));
}

}  // namespace

absl::Status Exec(const Backend& backend, Call& call, const ::runtime::v1::ExecRequest& request,
                  ::runtime::v1::ExecResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  const Field cmd("cmd");
  if (request.cmd().empty()) return cmd.Error("must not be empty");
  RETURN_IF_ERROR(ValidateCommand(cmd, request.cmd()));
  StreamRequest stream;
  stream.kind = StreamKind::kExec;
  stream.command = {request.cmd().begin(), request.cmd().end()};
  ASSIGN_OR_RETURN(stream.options, Options(request));
  ASSIGN_OR_RETURN(stream.id, RunningContainer(backend, request.container_id(), "exec"));
  ASSIGN_OR_RETURN(*response->mutable_url(), MakeUrl(backend, std::move(stream)));
  return absl::OkStatus();
}

absl::Status Attach(const Backend& backend, Call& call, const ::runtime::v1::AttachRequest& request,
                    ::runtime::v1::AttachResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("container_id"), request.container_id()));
  call.subject = absl::StrCat("container ", request.container_id());
  StreamRequest stream;
  stream.kind = StreamKind::kAttach;
  ASSIGN_OR_RETURN(stream.options, Options(request));
  ASSIGN_OR_RETURN(stream.id, RunningContainer(backend, request.container_id(), "attach"));
  ASSIGN_OR_RETURN(*response->mutable_url(), MakeUrl(backend, std::move(stream)));
  return absl::OkStatus();
}

absl::Status PortForward(const Backend& backend, Call& call, const ::runtime::v1::PortForwardRequest& request,
                         ::runtime::v1::PortForwardResponse* response) {
  RETURN_IF_ERROR(ValidId(Field("pod_sandbox_id"), request.pod_sandbox_id()));
  call.subject = absl::StrCat("sandbox ", request.pod_sandbox_id());
  if (request.port_size() > kMaxPorts) return Field("port").Error(absl::StrCat("at most ", kMaxPorts, " ports"));
  StreamRequest stream;
  stream.kind = StreamKind::kPortForward;
  for (int i = 0; i < request.port_size(); ++i) {
    if (request.port(i) < 1 || request.port(i) > 0xffff)
      return Field(absl::StrCat("port[", i, "]")).Error("must be from 1 to 65535");
    stream.ports.push_back(static_cast<uint16_t>(request.port(i)));
  }
  ASSIGN_OR_RETURN(const podvisor::SandboxStatus status,
                   backend.pods->GetSandbox(request.pod_sandbox_id(), Detail::kBrief));
  if (status.state != SandboxState::kReady)
    return absl::FailedPreconditionError(absl::StrCat("sandbox ", status.id, " is not ready: no port to forward"));
  stream.id = status.id;
  ASSIGN_OR_RETURN(*response->mutable_url(), MakeUrl(backend, std::move(stream)));
  return absl::OkStatus();
}

}  // namespace podvisor::cri
