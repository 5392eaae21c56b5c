#include <memory>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cri/convert/common.h"
#include "cri/convert/container.h"
#include "cri/convert/sandbox.h"
#include "cri/handlers.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;

// gRPC's synchronous API has no event for a client that has gone: how often a quiet stream asks.
constexpr absl::Duration kInterval = absl::Milliseconds(500);

v1::ContainerEventType ToCriType(PodEventType type) {
  switch (type) {
    case PodEventType::kCreated:
      return v1::CONTAINER_CREATED_EVENT;
    case PodEventType::kStarted:
      return v1::CONTAINER_STARTED_EVENT;
    case PodEventType::kStopped:
      return v1::CONTAINER_STOPPED_EVENT;
    case PodEventType::kDeleted:
      return v1::CONTAINER_DELETED_EVENT;
  }
  return v1::CONTAINER_CREATED_EVENT;
}

void EventToCri(const PodEvent& event, v1::ContainerEventResponse* out) {
  out->set_container_id(event.container_id);
  out->set_container_event_type(ToCriType(event.type));
  out->set_created_at(ToCriTime(event.at));
  SandboxToCri(event.sandbox, out->mutable_pod_sandbox_status());
  for (const podvisor::ContainerStatus& container : event.containers)
    ContainerToCri(container, out->add_containers_statuses());
}

}  // namespace

absl::Status GetContainerEvents(const Backend& backend, Call& call, const v1::GetEventsRequest&,
                                absl::FunctionRef<void()> subscribed, Write<v1::ContainerEventResponse> write) {
  ASSIGN_OR_RETURN(const std::unique_ptr<EventStream> stream, backend.pods->SubscribeEvents());
  subscribed();
  while (!call.cancelled()) {
    if (call.closing()) return absl::UnavailableError("podvisord is shutting down: subscribe again");
    absl::StatusOr<std::shared_ptr<const PodEvent>> event = stream->Next(absl::Now() + kInterval);
    if (absl::IsDeadlineExceeded(event.status())) continue;
    RETURN_IF_ERROR(event.status());
    v1::ContainerEventResponse message;
    EventToCri(**event, &message);
    if (!write(message)) break;
  }
  return absl::CancelledError("the client has gone");
}

}  // namespace podvisor::cri
