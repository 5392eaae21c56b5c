#include "netns/background.h"

#include <utility>

namespace podvisor {

Background::Background() : thread_([this] { Loop(); }) {}

Background::~Background() {
  {
    const absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Background::Run(std::function<void()> work) {
  const absl::MutexLock lock(&mu_);
  queue_.push_back(std::move(work));
}

bool Background::AwaitIdle(absl::Time deadline) {
  const absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(this, &Background::Idle), deadline);
}

void Background::Loop() {
  for (;;) {
    std::function<void()> work;
    {
      const absl::MutexLock lock(&mu_);
      busy_ = false;
      mu_.Await(absl::Condition(this, &Background::HasWorkOrStops));
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
    }
    work();
  }
}

}  // namespace podvisor
