#include "agent/guest/loop.h"

#include <errno.h>
#include <time.h>

#include <algorithm>
#include <climits>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

int64_t ClockNs(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

uint64_t Tag(int fd, uint32_t generation) {
  return static_cast<uint64_t>(generation) << 32 | static_cast<uint32_t>(fd);
}

}  // namespace

int64_t NowMs() { return ClockNs(CLOCK_MONOTONIC) / 1'000'000; }
int64_t UnixNowNs() { return ClockNs(CLOCK_REALTIME); }

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

absl::Status Loop::Watch(int fd, uint32_t events, FdHandler handler) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = Tag(fd, ++generation_);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return ErrnoStatus(errno, "epoll_ctl");
  watched_[fd] = {generation_, std::make_shared<FdHandler>(std::move(handler))};
  return absl::OkStatus();
}

void Loop::Modify(int fd, uint32_t events) {
  const auto found = watched_.find(fd);
  if (found == watched_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = Tag(fd, found->second.generation);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Loop::TimerId Loop::After(int64_t delay_ms, std::function<void()> function) {
  const int64_t due = NowMs() + std::max<int64_t>(delay_ms, 0);
  const TimerId id = ++last_timer_;
  timers_.emplace(std::make_pair(due, id), std::move(function));
  due_[id] = due;
  return id;
}

void Loop::Cancel(TimerId timer) {
  const auto found = due_.find(timer);
  if (found == due_.end()) return;
  timers_.erase({found->second, timer});
  due_.erase(found);
}

void Loop::Post(std::function<void()> function) { posted_.push_back(std::move(function)); }

void Loop::RunDue() {
  std::vector<std::function<void()>> posted;
  posted.swap(posted_);
  for (const auto& function : posted) function();
  const int64_t now = NowMs();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    due_.erase(node.key().second);
    node.mapped()();
  }
}

int Loop::TimeoutMs() const {
  if (!posted_.empty()) return 0;
  if (timers_.empty()) return -1;
  return static_cast<int>(std::clamp<int64_t>(timers_.begin()->first.first - NowMs(), 0, INT_MAX));
}

void Loop::Run() {
  running_ = true;
  epoll_event events[32];
  while (running_) {
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), TimeoutMs());
    for (int i = 0; i < count && running_; ++i) {
      const int fd = static_cast<int>(events[i].data.u64 & 0xffffffff);
      const auto found = watched_.find(fd);
      // The number may be another's since, if an earlier callback of this round closed it.
      if (found == watched_.end() || Tag(fd, found->second.generation) != events[i].data.u64) continue;
      const std::shared_ptr<FdHandler> handler = found->second.handler;
      (*handler)(events[i].events);
    }
    if (running_) RunDue();
  }
}

}  // namespace podvisor::guest
