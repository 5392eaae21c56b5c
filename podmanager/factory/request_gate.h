// Who waits for a VM goes first: work ahead of requests stands back while there are any.
#ifndef PODVISOR_PODMANAGER_FACTORY_REQUEST_GATE_H_
#define PODVISOR_PODMANAGER_FACTORY_REQUEST_GATE_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

// Thread-safe.
class RequestGate {
 public:
  // Held as long as a RunPodSandbox is under way.
  class [[nodiscard]] Pass {
   public:
    explicit Pass(RequestGate& gate) : gate_(gate) { gate_.Add(1); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() { gate_.Add(-1); }

   private:
    RequestGate& gate_;
  };

  // Whether no request is under way by `patience` from now. A limit is needed: a request may wait for a plugin that
  // hangs.
  bool AwaitQuiet(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(this, &RequestGate::Quiet), patience);
  }

 private:
  bool Quiet() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return requests_ == 0; }
  void Add(int change) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    requests_ += change;
  }

  absl::Mutex mu_;
  int requests_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_REQUEST_GATE_H_
