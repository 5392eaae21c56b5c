#include "podmanager/events/event_hub.h"

#include <deque>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace podvisor {

class EventHub::Queue {
 public:
  explicit Queue(size_t max_waiting) : max_waiting_(max_waiting) {}

  void Add(std::shared_ptr<const PodEvent> event) {
    absl::MutexLock lock(&mu_);
    if (cut_off_) return;
    if (events_.size() >= max_waiting_) {
      cut_off_ = true;
      events_.clear();
      return;
    }
    events_.push_back(std::move(event));
  }

  absl::StatusOr<std::shared_ptr<const PodEvent>> Next(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithDeadline(absl::Condition(this, &Queue::Ready), deadline))
      return absl::DeadlineExceededError("no event");
    if (cut_off_) {
      return absl::ResourceExhaustedError(absl::StrCat("this listener reads too slowly: more than ", max_waiting_,
                                                       " events were waiting for it, and are lost to it: subscribe "
                                                       "again, then list"));
    }
    std::shared_ptr<const PodEvent> event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  bool Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return cut_off_ || !events_.empty(); }

  const size_t max_waiting_;
  absl::Mutex mu_;
  std::deque<std::shared_ptr<const PodEvent>> events_ ABSL_GUARDED_BY(mu_);
  bool cut_off_ ABSL_GUARDED_BY(mu_) = false;
};

class EventHub::Stream final : public EventStream {
 public:
  Stream(EventHub& hub, std::shared_ptr<Queue> queue) : hub_(hub), queue_(std::move(queue)) {}
  ~Stream() override { hub_.Remove(queue_.get()); }

  absl::StatusOr<std::shared_ptr<const PodEvent>> Next(absl::Time deadline) override { return queue_->Next(deadline); }

 private:
  EventHub& hub_;
  const std::shared_ptr<Queue> queue_;
};

absl::StatusOr<std::unique_ptr<EventStream>> EventHub::Subscribe() {
  absl::MutexLock lock(&mu_);
  if (queues_.size() >= max_streams_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("events: there are ", queues_.size(), " listeners already: end one of them first"));
  }
  queues_.push_back(std::make_shared<Queue>(max_waiting_));
  return std::make_unique<Stream>(*this, queues_.back());
}

bool EventHub::HasListeners() const {
  absl::MutexLock lock(&mu_);
  return !queues_.empty();
}

void EventHub::Publish(std::shared_ptr<const PodEvent> event) {
  absl::MutexLock lock(&mu_);
  for (const std::shared_ptr<Queue>& queue : queues_) queue->Add(event);
}

void EventHub::Remove(const Queue* queue) {
  absl::MutexLock lock(&mu_);
  std::erase_if(queues_, [queue](const auto& entry) { return entry.get() == queue; });
}

}  // namespace podvisor
