#include "agent/guest/agent.h"
#include "agent/guest/services/names.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::Empty;
using podvisor::agent::v1::Stream;

void Read(Containers& containers, const grpc::ReadStreamRequest& request, Stream stream, CallPtr call) {
  const auto process = containers.FindProcess(request.container_id(), request.exec_id());
  if (!process.ok()) return call->Fail(process.status());
  (*process)->output(stream).Take(request.len(), std::move(call));
}

void WriteStdin(Containers& containers, grpc::WriteStreamRequest&& request, CallPtr call) {
  const auto process = containers.FindProcess(request.container_id(), request.exec_id());
  if (!process.ok()) return call->Fail(process.status());
  (*process)->input().Write(std::move(*request.mutable_data()), std::move(call));
}

void WriteStdinFile(Containers& containers, const podvisor::agent::v1::WriteStdinFileRequest& request, CallPtr call) {
  const auto process = containers.FindProcess(request.container_id(), request.exec_id());
  if (!process.ok()) return call->Fail(process.status());
  (*process)->input().WriteFile(request.path(), request.offset(), request.size(), std::move(call));
}

absl::Status CloseStdin(Containers& containers, const grpc::CloseStdinRequest& request) {
  ASSIGN_OR_RETURN(const auto process, containers.FindProcess(request.container_id(), request.exec_id()));
  process->input().Close();
  return absl::OkStatus();
}

absl::Status Resize(Containers& containers, const grpc::TtyWinResizeRequest& request) {
  ASSIGN_OR_RETURN(const auto process, containers.FindProcess(request.container_id(), request.exec_id()));
  if (request.row() > 0xffff || request.column() > 0xffff) {
    return absl::InvalidArgumentError("a terminal has at most 65535 rows and columns");
  }
  return process->Resize(request.row(), request.column());
}

}  // namespace

void AddStreamCalls(Agent& agent) {
  Containers& containers = agent.containers;
  Dispatcher& dispatcher = agent.dispatcher;
  dispatcher.On<grpc::ReadStreamRequest>(kAgentService, "ReadStdout",
                                         [&containers](const grpc::ReadStreamRequest& request, CallPtr call) {
                                           Read(containers, request, podvisor::agent::v1::STDOUT, std::move(call));
                                         });
  dispatcher.On<grpc::ReadStreamRequest>(kAgentService, "ReadStderr",
                                         [&containers](const grpc::ReadStreamRequest& request, CallPtr call) {
                                           Read(containers, request, podvisor::agent::v1::STDERR, std::move(call));
                                         });
  dispatcher.On<grpc::WriteStreamRequest>(kAgentService, "WriteStdin",
                                          [&containers](grpc::WriteStreamRequest&& request, CallPtr call) {
                                            WriteStdin(containers, std::move(request), std::move(call));
                                          });
  dispatcher.On<podvisor::agent::v1::WriteStdinFileRequest>(
      kExtensionService, "WriteStdinFile",
      [&containers](const podvisor::agent::v1::WriteStdinFileRequest& request, CallPtr call) {
        WriteStdinFile(containers, request, std::move(call));
      });
  dispatcher.OnSync<grpc::CloseStdinRequest, Empty>(
      kAgentService, "CloseStdin",
      [&containers](const grpc::CloseStdinRequest& request, Empty*) { return CloseStdin(containers, request); });
  dispatcher.OnSync<grpc::TtyWinResizeRequest, Empty>(
      kAgentService, "TtyWinResize",
      [&containers](const grpc::TtyWinResizeRequest& request, Empty*) { return Resize(containers, request); });
}

}  // namespace podvisor::guest
