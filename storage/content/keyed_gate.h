// One worker per key at a time.
#ifndef PODVISOR_STORAGE_CONTENT_KEYED_GATE_H_
#define PODVISOR_STORAGE_CONTENT_KEYED_GATE_H_

#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/interruption.h"

namespace podvisor {

// Lets pulls share work without sharing fate: whoever gets the pass for a key looks first whether the work is done, and
// does it otherwise. If a worker gives up, a waiter takes over. Thread-safe; outlives its passes.
class KeyedGate {
 public:
  // Gives the key back when destroyed. Movable.
  class Pass {
   public:
    Pass(KeyedGate* gate, std::string key) : gate_(gate), key_(std::move(key)) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), key_(std::move(other.key_)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave(key_);
    }

   private:
    KeyedGate* gate_;
    std::string key_;
  };

  // Waits until nobody has the key. Errors are those of Interruption::Check().
  absl::StatusOr<Pass> Enter(const std::string& key, const Interruption& interruption) {
    absl::MutexLock lock(&mu_);
    while (busy_.contains(key)) {
      if (absl::Status status = interruption.Check(); !status.ok()) return status;
      left_.WaitWithTimeout(&mu_, kInterruptionGranularity);
    }
    busy_.insert(key);
    return Pass(this, key);
  }

 private:
  void Leave(const std::string& key) {
    absl::MutexLock lock(&mu_);
    busy_.erase(key);
    left_.SignalAll();
  }

  absl::Mutex mu_;
  absl::CondVar left_;
  std::set<std::string> busy_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_CONTENT_KEYED_GATE_H_
