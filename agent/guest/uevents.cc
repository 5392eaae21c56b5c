#include "agent/guest/uevents.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "agent/guest/log.h"

namespace podvisor::guest {

Uevents::Uevents(Loop& loop)
    : loop_(loop), fd_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Log("cannot listen to uevents");
  const absl::Status status = loop_.Watch(fd_.get(), EPOLLIN, [this](uint32_t) { Read(); });
  if (!status.ok()) Log("uevents: ", status.message());
}

Uevents::~Uevents() { loop_.Unwatch(fd_.get()); }

void Uevents::Read() {
  char buffer[8192];
  // Which one it was does not matter: everybody looks again. An overrun (ENOBUFS) counts as an event as well.
  for (int i = 0; i < 64 && ::recv(fd_.get(), buffer, sizeof(buffer), 0) > 0; ++i) {
  }
  Retry();
}

void Uevents::Retry() {
  std::list<Waiter> waiters;
  waiters.swap(waiters_);
  while (!waiters.empty()) {
    absl::StatusOr<std::string> path = waiters.front().find();
    if (absl::IsNotFound(path.status())) {
      waiters_.splice(waiters_.end(), waiters, waiters.begin());
      continue;
    }
    const Waiter done = std::move(waiters.front());
    waiters.pop_front();
    loop_.Cancel(done.timer);
    // Later: the callback may wait for more, or take long.
    loop_.Post([found = done.found, path = std::move(path)] { found(path); });
  }
}

void Uevents::WaitFor(Find find, int64_t wait_ms, Found found) {
  absl::StatusOr<std::string> path = find();
  if (!absl::IsNotFound(path.status())) return found(std::move(path));
  waiters_.push_back({.find = std::move(find), .found = std::move(found)});
  if (wait_ms < 0) return;
  const auto position = std::prev(waiters_.end());
  position->timer = loop_.After(wait_ms, [this, position] {
    const Waiter waiter = std::move(*position);
    waiters_.erase(position);
    waiter.found(waiter.find());
  });
}

}  // namespace podvisor::guest
