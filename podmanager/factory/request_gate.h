// Who waits for a VM goes first: work ahead of requests stands back while there are any.
#ifndef PODVISOR_PODMANAGER_FACTORY_REQUEST_GATE_H_
#define PODVISOR_PODMANAGER_FACTORY_REQUEST_GATE_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace podvisor {

// Thread-safe.
class RequestGate {
 public:
  // Held as long as a call that starts a pod or a container is under way.
  class [[nodiscard]] Pass {
   public:
    explicit Pass(RequestGate& gate) : gate_(gate) { gate_.Add(1); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() { gate_.Add(-1); }

   private:
    RequestGate& gate_;
  };

  // Whether there is a lull by `deadline`: no request is under way, and the last one ended kLull ago, since a client's
  // next call follows the last one's answer. A limit is needed: a request may wait for a plugin that hangs.
  bool AwaitLull(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (mu_.AwaitWithDeadline(absl::Condition(this, &RequestGate::NoneUnderWay), deadline)) {
      const absl::Time lull = last_end_ + kLull;
      if (lull <= absl::Now()) return true;
      if (lull > deadline) return false;
      mu_.AwaitWithDeadline(absl::Condition(this, &RequestGate::SomeUnderWay), lull);
    }
    return false;
  }

 private:
  // A kubelet needs some milliseconds from RunPodSandbox to CreateContainer to StartContainer.
  static constexpr absl::Duration kLull = absl::Milliseconds(200);

  bool NoneUnderWay() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return requests_ == 0; }
  bool SomeUnderWay() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return requests_ != 0; }
  void Add(int change) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    requests_ += change;
    if (change < 0) last_end_ = absl::Now();
  }

  absl::Mutex mu_;
  int requests_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time last_end_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_REQUEST_GATE_H_
