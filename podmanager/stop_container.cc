// StopContainer.
#include <signal.h>
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "podmanager/container_operations.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {

absl::Status Signal(AgentClient& agent, const std::string& container_id, int signal, absl::Duration timeout) {
  grpc::SignalProcessRequest request;
  request.set_container_id(container_id);
  request.set_signal(static_cast<uint32_t>(signal));
  google::protobuf::Empty empty;
  absl::Status status = agent.Call(kAgentService, "SignalProcess", request, &empty, absl::Now() + timeout);
  if (absl::IsNotFound(status)) return absl::OkStatus();  // it has ended; the exit is on its way
  return Annotate(std::move(status), "signal ", signal, " to container ", container_id);
}

absl::Status EndedOrInterrupted(const Container& container) {
  if (container.phase() != ContainerPhase::kRunning) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("container ", container.id(), ": podvisord is shutting down"));
}

}  // namespace

// Several may be under way for one container: each keeps its own time, so that a stop without grace is not held up by
// one with a long grace.
absl::Status StopContainerInGuest(const std::shared_ptr<Container>& container, absl::Duration grace) {
  const absl::Time kill_at = absl::Now() + grace;
  if (container->phase() == ContainerPhase::kStarting) {  // its start ends first
    ASSIGN_OR_RETURN(Turn turn, container->turns().Take(absl::InfiniteFuture(), "container " + container->id()));
  }
  if (container->phase() != ContainerPhase::kRunning) return absl::OkStatus();
  const RuntimeTimeouts& timeouts = container->sandbox()->timeouts();
  const Sandbox::Guest guest = container->sandbox()->guest();
  if (guest.agent == nullptr) {
    return absl::UnavailableError(absl::StrCat("container ", container->id(), ": sandbox ", container->sandbox()->id(),
                                               " has no guest to ask; stop the sandbox"));
  }
  if (grace > absl::ZeroDuration()) {
    if (container->ClaimStopSignal()) {
      const int signal = container->record().stop_signal();
      absl::Status status = Signal(*guest.agent, container->id(), signal != 0 ? signal : SIGTERM, timeouts.agent_call);
      // SIGKILL follows in any case.
      if (!status.ok()) spdlog::warn("container {}: stop: {}", container->id(), status.ToString());
    }
    if (container->AwaitEnded(kill_at)) return EndedOrInterrupted(*container);
  }
  RETURN_IF_ERROR(Signal(*guest.agent, container->id(), SIGKILL, timeouts.agent_call), "stop");
  if (container->AwaitEnded(absl::Now() + timeouts.kill)) return EndedOrInterrupted(*container);
  return absl::DeadlineExceededError(absl::StrCat("container ", container->id(), ": the guest has not said within ",
                                                  absl::FormatDuration(timeouts.kill),
                                                  " of SIGKILL that it ended; stop its sandbox to end its VM"));
}

}  // namespace podvisor
