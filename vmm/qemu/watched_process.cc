#include "vmm/qemu/watched_process.h"

#include <errno.h>
#include <fcntl.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace podvisor {

absl::StatusOr<std::shared_ptr<WatchedProcess>> WatchedProcess::Watch(EventLoop& loop, Process& process,
                                                                      Describe describe) {
  UniqueFd pidfd(::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 3));
  if (!pidfd.ok()) return ErrnoStatus(errno, "duplicate a pidfd");
  std::shared_ptr<WatchedProcess> watched(new WatchedProcess(loop, std::move(process), std::move(describe)));
  boost::asio::post(loop.context(), [watched, pidfd = std::make_shared<UniqueFd>(std::move(pidfd))] {
    watched->descriptor_.assign(pidfd->release());
    watched->Wait();
  });
  return watched;
}

WatchedProcess::WatchedProcess(EventLoop& loop, Process process, Describe describe)
    : loop_(loop),
      identity_(process.identity()),
      describe_(std::move(describe)),
      descriptor_(loop.context()),
      process_(std::move(process)) {}

absl::Status WatchedProcess::Signal(int signal) { return process_.Signal(signal); }

void WatchedProcess::Wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error) self->Ended();
                         });
}

void WatchedProcess::Ended() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  const absl::StatusOr<ExitStatus> exit = process_.Wait(absl::Now());
  std::string reason = describe_(exit.value_or(ExitStatus{}));
  {
    absl::MutexLock lock(&mu_);
    ended_ = true;
    reason_ = std::move(reason);
  }
  Tell();
}

void WatchedProcess::Tell() {
  absl::MutexLock lock(&watcher_mu_);
  if (!watcher_) return;
  std::string why = reason();
  if (why.empty()) return;
  const std::function<void(std::string)> watcher = std::exchange(watcher_, nullptr);
  telling_ = true;
  watcher(std::move(why));
  telling_ = false;
}

bool WatchedProcess::WaitEnded(absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithDeadline(absl::Condition(&ended_), deadline);
}

std::string WatchedProcess::reason() {
  absl::MutexLock lock(&mu_);
  return reason_;
}

void WatchedProcess::SetWatcher(std::function<void(std::string)> watcher) {
  // From within a watcher's call: it has been taken out already, and waiting for its end would be for ever.
  if (loop_.InLoop() && telling_) {
    if (watcher)
      boost::asio::post(loop_.context(), [self = shared_from_this(), watcher] { self->SetWatcher(watcher); });
    return;
  }
  {
    absl::MutexLock lock(&watcher_mu_);
    watcher_ = std::move(watcher);
    if (!watcher_) return;
  }
  if (ended()) boost::asio::post(loop_.context(), [self = shared_from_this()] { self->Tell(); });
}

}  // namespace podvisor
