// StartContainer, and what follows a container while it runs.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/base/call_once.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/protocol/extension.pb.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/container_operations.h"
#include "podmanager/tell_hooks.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

constexpr int kStartErrorCode = 128;  // as containerd has it; the kubelet shows StartError

std::string ExitReason(const ProcessExit& exit) {
  if (!exit.known) return "Unknown";
  if (exit.oom_killed) return "OOMKilled";
  return exit.exit_code == 0 ? "Completed" : "Error";
}

void HandleExit(PodContext& context, const std::shared_ptr<Container>& container, const ProcessExit& exit) {
  const absl::Time now = context.timestamps.Next();
  const bool moved = container->Observe(ContainerPhase::kExited, [&](ContainerRecord& record) {
    record.set_exit_code(exit.exit_code);
    record.set_reason(ExitReason(exit));
    if (!exit.known) record.set_message("the guest does not know the container any more");
    // The guest's clock is believed within what the host has seen itself: it matters for an exit while no daemon ran.
    const int64_t guest_time = exit.finished_at > absl::UnixEpoch() ? absl::ToUnixNanos(exit.finished_at) : 0;
    const bool plausible = guest_time > record.started_at_ns() && guest_time <= absl::ToUnixNanos(now);
    record.set_finished_at_ns(plausible ? guest_time : absl::ToUnixNanos(now));
  });
  if (!moved) return;
  spdlog::info("container {}: exited with {} ({})", container->id(), exit.exit_code, ExitReason(exit));
  context.Changed(*container);
  TellStopped(context, *container);
}

// After a broken connection it is not known whether the guest has started it.
bool HasStarted(AgentClient& agent, const std::string& container_id, absl::Time deadline) {
  agent::v1::WaitExitRequest request;
  request.set_container_id(container_id);
  agent::v1::ProcessState state;
  return agent.Call(kExtensionService, "WaitExit", request, &state, deadline).ok() && state.started();
}

absl::Status CallStart(AgentClient& agent, const std::string& container_id, absl::Duration timeout) {
  grpc::StartContainerRequest request;
  request.set_container_id(container_id);
  google::protobuf::Empty empty;
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status status = agent.Call(kAgentService, "StartContainer", request, &empty, deadline);
  if (!absl::IsUnavailable(status)) return status;
  if (HasStarted(agent, container_id, deadline)) return absl::OkStatus();
  status = agent.Call(kAgentService, "StartContainer", request, &empty, deadline);
  if (!status.ok() && HasStarted(agent, container_id, deadline)) return absl::OkStatus();
  return status;
}

// A program without stdin reads the end of the file, as with /dev/null (a terminal stays open). Nobody waits for the
// answer: if the guest can't be reached, the container has worse troubles.
void CloseStdin(AgentClient& agent, const std::string& container_id, absl::Duration timeout) {
  grpc::CloseStdinRequest request;
  request.set_container_id(container_id);
  agent.CallAsync(kAgentService, "CloseStdin", request, absl::Now() + timeout,
                  [](const absl::StatusOr<std::string>&) {});
}

void MarkStartError(PodContext& context, Container& container, const absl::Status& error) {
  StopWatching(container);
  const int64_t now = absl::ToUnixNanos(context.timestamps.Next());
  container.Observe(ContainerPhase::kExited, [&](ContainerRecord& record) {
    record.set_exit_code(kStartErrorCode);
    record.set_reason("StartError");
    record.set_message(std::string(error.message()));
    record.set_started_at_ns(0);
    record.set_finished_at_ns(now);
  });
  context.Changed(container);
  TellStopped(context, container);
}

}  // namespace

absl::Status StartContainerInGuest(PodContext& context, const std::shared_ptr<Container>& container) {
  const RequestGate::Pass request(context.requests);
  ASSIGN_OR_RETURN(Turn turn, container->turns().Take(absl::InfiniteFuture(), "container " + container->id()));
  if (container->phase() != ContainerPhase::kCreated) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", container->id(), " is ", Name(container->phase()), ": it can't be started"));
  }
  const std::shared_ptr<Sandbox>& sandbox = container->sandbox();
  ASSIGN_OR_RETURN(Gate::Pass pass, sandbox->containers().Enter("sandbox " + sandbox->id()));
  ASSIGN_OR_RETURN(const Sandbox::Guest guest, ReadyGuest(*sandbox), "container ", container->id());
  RETURN_IF_ERROR(TellStart(context, *container), "start container ", container->id());
  const int64_t started_at = absl::ToUnixNanos(context.timestamps.Next());
  RETURN_IF_ERROR(container->TransitionTo(ContainerPhase::kStarting,
                                          [&](ContainerRecord& record) { record.set_started_at_ns(started_at); }));
  absl::Status status = WatchContainer(context, container, LogFailure::kIsError);
  if (status.ok()) status = CallStart(*guest.agent, container->id(), sandbox->timeouts().agent_call);
  if (status.ok()) status = container->TransitionTo(ContainerPhase::kRunning);
  if (!status.ok()) {
    if (!context.stopping) MarkStartError(context, *container, status);
    return Annotate(std::move(status), "start container ", container->id());
  }
  if (!container->config().stdin() && !container->config().tty())
    CloseStdin(*guest.agent, container->id(), sandbox->timeouts().agent_call);
  TellStarted(context, *container);  // before its end can be told of
  if (const auto exit = container->watchers().exit) exit->Arm();
  spdlog::info("container {}: started", container->id());
  context.Changed(*container);
  return absl::OkStatus();
}

void ResolveStart(PodContext& context, const std::shared_ptr<Container>& container) {
  absl::StatusOr<Turn> turn = container->turns().Take(absl::InfiniteFuture(), "container " + container->id());
  const std::shared_ptr<AgentClient> agent = container->sandbox()->guest().agent;
  if (!turn.ok() || agent == nullptr || container->phase() != ContainerPhase::kStarting) return;
  agent::v1::WaitExitRequest request;
  request.set_container_id(container->id());
  agent::v1::ProcessState state;
  absl::Status status = agent->Call(kExtensionService, "WaitExit", request, &state,
                                    absl::Now() + container->sandbox()->timeouts().agent_ready);
  if (context.stopping) return;
  if (status.ok() && !state.started()) {
    status =
        container->TransitionTo(ContainerPhase::kCreated, [](ContainerRecord& record) { record.set_started_at_ns(0); });
    if (status.ok()) return;
  }
  if (status.ok()) status = WatchContainer(context, container, LogFailure::kIsLogged);
  if (status.ok()) status = container->TransitionTo(ContainerPhase::kRunning);
  if (!status.ok()) {
    return MarkStartError(context, *container, Annotate(std::move(status), "interrupted by a restart of podvisord"));
  }
  if (const auto exit = container->watchers().exit) exit->Arm();
  context.Changed(*container);
}

absl::Status WatchContainer(PodContext& context, const std::shared_ptr<Container>& container, LogFailure log_failure) {
  const std::shared_ptr<Sandbox>& sandbox = container->sandbox();
  const std::shared_ptr<AgentClient> agent = sandbox->guest().agent;
  if (agent == nullptr) return absl::FailedPreconditionError(absl::StrCat("sandbox ", sandbox->id(), " has no guest"));
  std::shared_ptr<ContainerExitWatch> exit = ContainerExitWatch::Create(
      context.loop, agent,
      {.sandbox_id = sandbox->id(), .container_id = container->id(), .agent = sandbox->record().agent()},
      [&context, weak = std::weak_ptr<Container>(container)](ProcessExit exit) {
        const std::shared_ptr<Container> ended = weak.lock();
        if (ended == nullptr || context.stopping) return;
        context.tasks.Run([&context, ended, exit] { HandleExit(context, ended, exit); });
      });
  ContainerLogOptions options;
  options.sandbox_id = sandbox->id();
  options.container_id = container->id();
  options.log_path = container->record().log_path();
  options.tty = container->config().tty();
  absl::StatusOr<std::shared_ptr<ContainerLog>> log = ContainerLog::Start(
      context.loop, agent, context.db, options, [weak = std::weak_ptr<ContainerExitWatch>(exit)](absl::Status) {
        if (const auto watch = weak.lock()) watch->LogEnded();
      });
  if (!log.ok()) {
    if (log_failure == LogFailure::kIsError) return std::move(log).status();
    spdlog::error("container {}: its output is lost: {}", container->id(), log.status().ToString());
    exit->LogEnded();
    log = nullptr;
  }
  container->set_watchers({.log = *std::move(log), .exit = std::move(exit)});
  return absl::OkStatus();
}

void StopWatching(Container& container) {
  const Container::Watchers watchers = container.watchers();
  if (watchers.exit != nullptr) watchers.exit->Stop();
  if (watchers.log != nullptr) watchers.log->Stop();
}

void MarkContainerGone(PodContext& context, Container& container, int exit_code, const std::string& reason,
                       const std::string& message) {
  StopWatching(container);
  const int64_t now = absl::ToUnixNanos(context.timestamps.Next());
  const bool moved = container.Observe(ContainerPhase::kExited, [&](ContainerRecord& record) {
    record.set_exit_code(exit_code);
    record.set_reason(reason);
    record.set_message(message);
    record.set_finished_at_ns(now);
  });
  if (!moved) return;
  spdlog::info("container {}: exited with {} ({}): {}", container.id(), exit_code, reason, message);
  context.Changed(container);
  if (container.record().started_at_ns() == 0) absl::call_once(container.stop_told(), [] {});  // nothing to tell
  TellStopped(context, container);
}

}  // namespace podvisor
