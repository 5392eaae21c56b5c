// A VMM's process from its start or adoption to its end: noticed, reaped, explained.
#ifndef PODVISOR_VMM_QEMU_WATCHED_PROCESS_H_
#define PODVISOR_VMM_QEMU_WATCHED_PROCESS_H_

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/process.h"

namespace podvisor {

// Thread-safe. Watches by pidfd on the event loop and reaps at once; stays alive by itself until the process has ended
// or the loop has, so no zombie is left when all handles are gone.
class WatchedProcess : public std::enable_shared_from_this<WatchedProcess> {
 public:
  // `describe` turns the exit status into words, once, in the event loop: it reads what the process has left behind.
  using Describe = std::function<std::string(const ExitStatus& exit)>;

  // Takes `process` only if it succeeds.
  static absl::StatusOr<std::shared_ptr<WatchedProcess>> Watch(EventLoop& loop, Process& process, Describe describe);

  const ProcessIdentity& identity() const { return identity_; }
  absl::Status Signal(int signal);

  // Whether it has ended by `deadline`. Blocks; never in the event loop.
  bool WaitEnded(absl::Time deadline);
  bool ended() { return WaitEnded(absl::InfinitePast()); }
  // Empty while it runs.
  std::string reason();

  // As Vm::WatchExit(). May be called from within a watcher's call, too.
  void SetWatcher(std::function<void(std::string)> watcher);

 private:
  WatchedProcess(EventLoop& loop, Process process, Describe describe);
  void Wait();
  void Ended();
  void Tell();

  EventLoop& loop_;
  const ProcessIdentity identity_;
  const Describe describe_;
  bool telling_ = false;                              // loop only: the watcher is being called
  boost::asio::posix::stream_descriptor descriptor_;  // loop only
  Process process_;                                   // Signal() anywhere, Wait() in the loop only

  absl::Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::string reason_ ABSL_GUARDED_BY(mu_);

  // Held during a call of the watcher. Lock order: before mu_.
  absl::Mutex watcher_mu_;
  std::function<void(std::string)> watcher_ ABSL_GUARDED_BY(watcher_mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_WATCHED_PROCESS_H_
