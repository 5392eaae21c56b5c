// Telling a long operation that nobody waits for it any more.
#ifndef PODVISOR_CRI_CANCELLATION_H_
#define PODVISOR_CRI_CANCELLATION_H_

#include <atomic>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace podvisor::cri {

// Turns a question that has to be asked (gRPC's synchronous API has no event for a client that went away) into a flag,
// from its constructor to its destructor. Asks a few times a second, in a thread of its own: for calls that take long.
class CancellationWatch {
 public:
  explicit CancellationWatch(std::function<bool()> ask);
  CancellationWatch(const CancellationWatch&) = delete;
  CancellationWatch& operator=(const CancellationWatch&) = delete;
  ~CancellationWatch();

  const std::atomic<bool>& cancelled() const { return cancelled_; }

 private:
  void Run();

  const std::function<bool()> ask_;
  std::atomic<bool> cancelled_{false};
  absl::Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_CANCELLATION_H_
