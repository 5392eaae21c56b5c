// One thing at a time happens to a sandbox or a container, without a mutex that is held while a guest is waited for.
#ifndef PODVISOR_PODMANAGER_TURN_H_
#define PODVISOR_PODMANAGER_TURN_H_

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

class Turns;

// Held by the operation under way; its end lets the next one in. Move-only; does not outlive its Turns.
class [[nodiscard]] Turn {
 public:
  Turn() = default;
  Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
  Turn& operator=(Turn&& other) noexcept {
    End();
    turns_ = std::exchange(other.turns_, nullptr);
    return *this;
  }
  ~Turn() { End(); }
  void End();

 private:
  friend class Turns;
  explicit Turn(Turns* turns) : turns_(turns) {}
  Turns* turns_ = nullptr;
};

// Thread-safe. Which of several waiters is next is not defined.
class Turns {
 public:
  // Waits for the end of the operation under way. kDeadlineExceeded if that takes longer; `whose` is for the message.
  absl::StatusOr<Turn> Take(absl::Time deadline, const std::string& whose) {
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithDeadline(absl::Condition(this, &Turns::Free), deadline)) {
      return absl::DeadlineExceededError(absl::StrCat(whose, ": another operation is still under way"));
    }
    taken_ = true;
    return Turn(this);
  }

 private:
  friend class Turn;
  bool Free() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !taken_; }
  void GiveBack() {
    absl::MutexLock lock(&mu_);
    taken_ = false;
  }

  absl::Mutex mu_;
  bool taken_ ABSL_GUARDED_BY(mu_) = false;
};

inline void Turn::End() {
  if (Turns* turns = std::exchange(turns_, nullptr)) turns->GiveBack();
}

// Lets any number in until it is closed: containers are made in a sandbox while nobody stops it. Thread-safe.
class Gate {
 public:
  class [[nodiscard]] Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    Gate* gate_;
  };

  // kFailedPrecondition ("WHOSE is being stopped") once closed.
  absl::StatusOr<Pass> Enter(const std::string& whose) {
    absl::MutexLock lock(&mu_);
    if (closed_) return absl::FailedPreconditionError(absl::StrCat(whose, " is being stopped"));
    ++inside_;
    return Pass(this);
  }
  void Close() {
    absl::MutexLock lock(&mu_);
    closed_ = true;
  }
  // Whether all have left by `deadline`.
  bool AwaitEmpty(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithDeadline(absl::Condition(this, &Gate::Empty), deadline);
  }

 private:
  bool Empty() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return inside_ == 0; }
  void Leave() {
    absl::MutexLock lock(&mu_);
    --inside_;
  }

  absl::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  int inside_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TURN_H_
