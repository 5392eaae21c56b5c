// What happens to pods, as it happens.
#ifndef PODVISOR_PODMANAGER_EVENTS_EVENT_STREAM_H_
#define PODVISOR_PODMANAGER_EVENTS_EVENT_STREAM_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "podmanager/statuses.h"

namespace podvisor {

enum class PodEventType { kCreated, kStarted, kStopped, kDeleted };

struct PodEvent {
  std::string container_id;  // of a sandbox's own events: its id
  PodEventType type = PodEventType::kCreated;
  absl::Time at;
  // The sandbox and all its containers when the event was told, which is at or after it; what has been removed is
  // missing.
  SandboxStatus sandbox;
  std::vector<ContainerStatus> containers;
};

// One listener. Each of its events is of a change that a List or Status call showed before the event was told: who
// subscribes first and lists then misses nothing. Those of one sandbox or container come in the order of its life.
// Thread-safe; does not outlive the pod manager.
class EventStream {
 public:
  virtual ~EventStream() = default;

  // The next one. kDeadlineExceeded if there is none by then; kResourceExhausted, for good, once the listener has let
  // too many wait: it has missed events, and has to subscribe again and to list.
  virtual absl::StatusOr<std::shared_ptr<const PodEvent>> Next(absl::Time deadline) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_EVENTS_EVENT_STREAM_H_
