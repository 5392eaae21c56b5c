// Hands events to listeners.
#ifndef PODVISOR_PODMANAGER_EVENTS_EVENT_HUB_H_
#define PODVISOR_PODMANAGER_EVENTS_EVENT_HUB_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "podmanager/events/event_stream.h"

namespace podvisor {

// Events that wait for one listener. The kubelet reads at once; 50 pods that start together are 300 events.
inline constexpr size_t kMaxWaitingEvents = 4096;
inline constexpr size_t kMaxEventStreams = 64;

// Thread-safe. Never waits for a listener.
class EventHub {
 public:
  explicit EventHub(size_t max_waiting = kMaxWaitingEvents, size_t max_streams = kMaxEventStreams)
      : max_waiting_(max_waiting), max_streams_(max_streams) {}

  // kResourceExhausted if there are as many as there may be.
  absl::StatusOr<std::unique_ptr<EventStream>> Subscribe();
  // An event need not be made if nobody listens.
  bool HasListeners() const;
  void Publish(std::shared_ptr<const PodEvent> event);

 private:
  class Queue;
  class Stream;
  void Remove(const Queue* queue);

  const size_t max_waiting_, max_streams_;
  mutable absl::Mutex mu_;  // before a Queue's
  std::vector<std::shared_ptr<Queue>> queues_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_EVENTS_EVENT_HUB_H_
