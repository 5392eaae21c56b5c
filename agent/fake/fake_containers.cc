#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/fake/fake_guest.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr uint32_t kMaxReadBytes = 1 << 20;

std::vector<std::string> Args(const grpc::Process& process) { return {process.args().begin(), process.args().end()}; }

size_t ReadBytes(uint32_t asked) { return std::clamp<uint32_t>(asked, 1, kMaxReadBytes); }

int64_t UnixNanos(absl::Time time) { return time == absl::InfinitePast() ? 0 : absl::ToUnixNanos(time); }

}  // namespace

absl::StatusOr<FakeGuest::Container*> FakeGuest::FindContainer(const std::string& container_id) {
  auto it = containers_.find(container_id);
  if (it == containers_.end()) return absl::NotFoundError(absl::StrCat("no container ", container_id));
  return &it->second;
}

absl::StatusOr<std::shared_ptr<FakeProcess>> FakeGuest::Find(const std::string& container_id,
                                                             const std::string& exec_id) {
  ASSIGN_OR_RETURN(Container * container, FindContainer(container_id));
  auto it = container->processes.find(exec_id.empty() ? container_id : exec_id);
  if (it == container->processes.end()) {
    return absl::NotFoundError(absl::StrCat("no process ", exec_id, " in container ", container_id));
  }
  return it->second;
}

absl::Status FakeGuest::CreateContainer(const grpc::CreateContainerRequest& request) {
  const std::string& id = request.container_id();
  if (id.empty()) return absl::InvalidArgumentError("container without id");
  if (containers_.count(id) > 0) return absl::AlreadyExistsError(absl::StrCat("container ", id, " exists"));
  if (request.oci().process().args().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("container ", id, ": no arguments"));
  }
  Container& container = containers_[id];
  request.SerializeToString(&container.request);
  container.processes[id] = std::make_shared<FakeProcess>(context_, Args(request.oci().process()), next_pid_++);
  return absl::OkStatus();
}

absl::Status FakeGuest::StartContainer(const grpc::StartContainerRequest& request) {
  const std::string& id = request.container_id();
  ASSIGN_OR_RETURN(Container * container, FindContainer(id));
  FakeProcess& init = container->init(id);
  // The end of the container's init is the end of its pid namespace.
  init.OnExit([this, id] {
    auto it = containers_.find(id);
    if (it == containers_.end()) return;
    for (auto& [exec_id, process] : it->second.processes) {
      if (exec_id != id) process->Exit(137);
    }
  });
  return Annotate(init.Start(), "start container ", id);
}

absl::Status FakeGuest::RemoveContainer(const grpc::RemoveContainerRequest& request) {
  auto node = containers_.extract(request.container_id());
  if (node.empty()) return absl::NotFoundError(absl::StrCat("no container ", request.container_id()));
  for (auto& [exec_id, process] : node.mapped().processes) process->Release();
  return absl::OkStatus();
}

absl::Status FakeGuest::PauseContainer(const grpc::PauseContainerRequest& request) {
  ASSIGN_OR_RETURN(Container * container, FindContainer(request.container_id()));
  if (container->init(request.container_id()).state() != FakeProcess::State::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", request.container_id(), " does not run"));
  }
  container->paused = true;
  return absl::OkStatus();
}

absl::Status FakeGuest::ResumeContainer(const grpc::ResumeContainerRequest& request) {
  ASSIGN_OR_RETURN(Container * container, FindContainer(request.container_id()));
  container->paused = false;
  return absl::OkStatus();
}

absl::Status FakeGuest::UpdateContainer(const grpc::UpdateContainerRequest& request) {
  ASSIGN_OR_RETURN(Container * container, FindContainer(request.container_id()));
  request.resources().SerializeToString(&container->resources);
  return absl::OkStatus();
}

absl::StatusOr<grpc::StatsContainerResponse> FakeGuest::StatsContainer(const grpc::StatsContainerRequest& request) {
  ASSIGN_OR_RETURN(Container * container, FindContainer(request.container_id()));
  const bool runs = container->init(request.container_id()).state() == FakeProcess::State::kRunning;
  grpc::StatsContainerResponse response;
  grpc::CgroupStats& stats = *response.mutable_cgroup_stats();
  stats.mutable_cpu_stats()->mutable_cpu_usage()->set_total_usage(runs ? 1000000 : 0);
  stats.mutable_memory_stats()->mutable_usage()->set_usage(runs ? 1 << 20 : 0);
  stats.mutable_pids_stats()->set_current(runs ? container->processes.size() : 0);
  return response;
}

absl::StatusOr<agent::v1::GetStatsResponse> FakeGuest::GetStats(const agent::v1::GetStatsRequest& request) {
  agent::v1::GetStatsResponse response;
  response.set_unix_time_ns(absl::ToUnixNanos(absl::Now()));
  const auto& wanted = request.container_ids();
  for (auto& [id, container] : containers_) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), id) == wanted.end()) continue;
    const bool runs = container.init(id).state() == FakeProcess::State::kRunning;
    agent::v1::ContainerUsage& usage = *response.add_containers();
    usage.set_container_id(id);
    usage.mutable_cgroup()->set_cpu_usage_us(runs ? 1000 : 0);
    usage.mutable_cgroup()->set_memory_bytes(runs ? 1 << 20 : 0);
    usage.mutable_cgroup()->set_processes(runs ? container.processes.size() : 0);
    usage.set_layer_bytes(4096);
    usage.set_layer_inodes(1);
    response.mutable_pod()->MergeFrom(usage.cgroup());
  }
  for (const auto& [key, interface] : interfaces_) {
    agent::v1::InterfaceUsage& usage = *response.add_interfaces();
    usage.set_name(interface.name());
    usage.set_rx_bytes(1000);
    usage.set_tx_bytes(2000);
  }
  response.mutable_guest()->set_cpu_us(1'000'000);
  response.mutable_guest()->set_memory_total_bytes(256 << 20);
  response.mutable_guest()->set_memory_available_bytes(192 << 20);
  response.mutable_guest()->set_processors(1);
  return response;
}

absl::Status FakeGuest::SetCgroupFiles(const agent::v1::SetCgroupFilesRequest& request) {
  ASSIGN_OR_RETURN(Container * container, FindContainer(request.container_id()));
  for (const auto& [file, value] : request.files()) container->cgroup_files[file] = value;
  return absl::OkStatus();
}

absl::Status FakeGuest::ExecProcess(const grpc::ExecProcessRequest& request) {
  const std::string& id = request.container_id();
  ASSIGN_OR_RETURN(Container * container, FindContainer(id));
  if (container->init(id).state() != FakeProcess::State::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", id, " does not run"));
  }
  if (request.exec_id().empty()) return absl::InvalidArgumentError(absl::StrCat("container ", id, ": no exec id"));
  if (container->processes.count(request.exec_id()) > 0) {
    return absl::AlreadyExistsError(absl::StrCat("container ", id, ": process ", request.exec_id(), " exists"));
  }
  auto process = std::make_shared<FakeProcess>(context_, Args(request.process()), next_pid_++);
  RETURN_IF_ERROR(process->Start(), "exec in container ", id);
  container->processes[request.exec_id()] = std::move(process);
  return absl::OkStatus();
}

void FakeGuest::RunExec(const agent::v1::RunExecRequest& request, Answer<agent::v1::RunExecResponse> answer) {
  if (absl::Status started = ExecProcess(request.exec()); !started.ok()) return answer(started);
  const std::string& id = request.exec().container_id();
  const std::shared_ptr<FakeProcess> process = containers_.at(id).processes.at(request.exec().exec_id());
  process->CloseStdin();
  if (process->NeedsReader()) return answer(agent::v1::RunExecResponse());
  process->WaitExit(absl::Milliseconds(request.wait_ms()),
                    [this, process, exec = request.exec(), answer = std::move(answer)](const absl::Status& status) {
                      agent::v1::RunExecResponse response;
                      if (!status.ok()) return answer(status);
                      if (process->state() != FakeProcess::State::kExited) return answer(response);
                      response.set_done(true);
                      response.set_exit_code(process->exit_code());
                      response.set_stdout(process->Pending(FakeProcess::Stream::kStdout));
                      response.set_stderr(process->Pending(FakeProcess::Stream::kStderr));
                      // Forgotten at once, but not destroyed from within its own list of waiters.
                      const auto container = containers_.find(exec.container_id());
                      if (container != containers_.end()) container->second.processes.erase(exec.exec_id());
                      boost::asio::post(context_, [process] {});
                      answer(std::move(response));
                    });
}

absl::Status FakeGuest::SignalProcess(const grpc::SignalProcessRequest& request) {
  ASSIGN_OR_RETURN(std::shared_ptr<FakeProcess> process, Find(request.container_id(), request.exec_id()));
  if (process->state() == FakeProcess::State::kCreated) {
    return absl::FailedPreconditionError(absl::StrCat("container ", request.container_id(), " was not started"));
  }
  process->Signal(static_cast<int>(request.signal()));
  return absl::OkStatus();
}

void FakeGuest::WaitProcess(const grpc::WaitProcessRequest& request, Answer<grpc::WaitProcessResponse> answer) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process.ok()) return answer(process.status());
  (*process)->WaitExit(absl::InfiniteDuration(), [process = std::weak_ptr<FakeProcess>(*process),
                                                  answer = std::move(answer)](const absl::Status& status) {
    auto ended = process.lock();
    if (!status.ok() || ended == nullptr) return answer(status.ok() ? absl::NotFoundError("removed") : status);
    grpc::WaitProcessResponse response;
    response.set_status(ended->exit_code());
    answer(response);
  });
}

absl::StatusOr<grpc::WriteStreamResponse> FakeGuest::WriteStdin(const grpc::WriteStreamRequest& request) {
  ASSIGN_OR_RETURN(std::shared_ptr<FakeProcess> process, Find(request.container_id(), request.exec_id()));
  RETURN_IF_ERROR(process->WriteStdin(request.data()));
  grpc::WriteStreamResponse response;
  response.set_len(static_cast<uint32_t>(request.data().size()));
  return response;
}

void FakeGuest::Take(const grpc::ReadStreamRequest& request, FakeProcess::Stream stream,
                     Answer<grpc::ReadStreamResponse> answer) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process.ok()) return answer(process.status());
  (*process)->TakeOutput(stream, ReadBytes(request.len()),
                         [answer = std::move(answer)](absl::StatusOr<FakeProcess::Output> output) {
                           if (!output.ok()) return answer(output.status());
                           grpc::ReadStreamResponse response;
                           response.set_data(std::move(output->data));
                           answer(std::move(response));
                         });
}

void FakeGuest::ReadStdout(const grpc::ReadStreamRequest& request, Answer<grpc::ReadStreamResponse> answer) {
  Take(request, FakeProcess::Stream::kStdout, std::move(answer));
}

void FakeGuest::ReadStderr(const grpc::ReadStreamRequest& request, Answer<grpc::ReadStreamResponse> answer) {
  Take(request, FakeProcess::Stream::kStderr, std::move(answer));
}

absl::Status FakeGuest::CloseStdin(const grpc::CloseStdinRequest& request) {
  ASSIGN_OR_RETURN(std::shared_ptr<FakeProcess> process, Find(request.container_id(), request.exec_id()));
  process->CloseStdin();
  return absl::OkStatus();
}

absl::Status FakeGuest::TtyWinResize(const grpc::TtyWinResizeRequest& request) {
  return Find(request.container_id(), request.exec_id()).status();
}

void FakeGuest::ReadOutput(const agent::v1::ReadOutputRequest& request, Answer<agent::v1::ReadOutputResponse> answer) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process.ok()) return answer(process.status());
  const auto stream =
      request.stream() == agent::v1::STDERR ? FakeProcess::Stream::kStderr : FakeProcess::Stream::kStdout;
  (*process)->ReadOutput(stream, request.offset(), ReadBytes(request.max_bytes()),
                         absl::Milliseconds(request.wait_ms()),
                         [answer = std::move(answer)](absl::StatusOr<FakeProcess::Output> output) {
                           if (!output.ok()) return answer(output.status());
                           agent::v1::ReadOutputResponse response;
                           response.set_data(std::move(output->data));
                           response.set_offset(output->offset);
                           response.set_eof(output->eof);
                           answer(std::move(response));
                         });
}

agent::v1::ProcessState FakeGuest::StateOf(const std::string& container_id, const std::string& exec_id) const {
  const Container& container = containers_.at(container_id);
  const FakeProcess& process = *container.processes.at(exec_id);
  agent::v1::ProcessState state;
  state.set_container_id(container_id);
  state.set_exec_id(exec_id == container_id ? "" : exec_id);
  state.set_started(process.state() != FakeProcess::State::kCreated);
  state.set_exited(process.state() == FakeProcess::State::kExited);
  state.set_exit_code(process.exit_code());
  state.set_oom_killed(container.oom_killed && exec_id == container_id);
  state.set_started_at_ns(UnixNanos(process.started_at()));
  state.set_finished_at_ns(UnixNanos(process.finished_at()));
  state.set_pid(process.pid());
  return state;
}

void FakeGuest::WaitExit(const agent::v1::WaitExitRequest& request, Answer<agent::v1::ProcessState> answer) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process.ok()) return answer(process.status());
  const std::string& id = request.container_id();
  const std::string exec_id = request.exec_id().empty() ? id : request.exec_id();
  (*process)->WaitExit(absl::Milliseconds(request.wait_ms()),
                       [this, id, exec_id, answer = std::move(answer)](const absl::Status& status) {
                         if (!status.ok()) return answer(status);
                         if (!Find(id, exec_id).ok()) return answer(absl::NotFoundError(absl::StrCat("no ", exec_id)));
                         answer(StateOf(id, exec_id));
                       });
}

absl::Status FakeGuest::ReleaseExec(const agent::v1::ReleaseExecRequest& request) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process.ok()) return absl::OkStatus();
  if (request.exec_id().empty() || request.exec_id() == request.container_id()) {
    return absl::InvalidArgumentError("the container's own process goes with RemoveContainer");
  }
  if ((*process)->state() != FakeProcess::State::kExited) {
    return absl::FailedPreconditionError(absl::StrCat("exec ", request.exec_id(), " still runs"));
  }
  (*process)->Release();
  containers_.at(request.container_id()).processes.erase(request.exec_id());
  return absl::OkStatus();
}

absl::StatusOr<agent::v1::ListProcessesResponse> FakeGuest::ListProcesses(const agent::v1::ListProcessesRequest&) {
  agent::v1::ListProcessesResponse response;
  for (const auto& [id, container] : containers_) {
    for (const auto& [exec_id, process] : container.processes) *response.add_processes() = StateOf(id, exec_id);
  }
  return response;
}

}  // namespace podvisor
