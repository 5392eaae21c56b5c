// Calls of a fake that fail or wait because a test says so.
#ifndef PODVISOR_PODMANAGER_TESTING_CALL_FAILPOINTS_H_
#define PODVISOR_PODMANAGER_TESTING_CALL_FAILPOINTS_H_

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

// Thread-safe. Calls are named by their function: "Setup".
class CallFailpoints {
 public:
  // The next calls fail, in order, one failure each.
  void FailNext(const std::string& call, absl::Status status, int times = 1) {
    absl::MutexLock lock(&mu_);
    for (int i = 0; i < times; ++i) failures_[call].push_back(status);
  }
  // Calls wait until Release().
  void Hold(const std::string& call) {
    absl::MutexLock lock(&mu_);
    held_.insert(call);
  }
  void Release(const std::string& call) {
    absl::MutexLock lock(&mu_);
    held_.erase(call);
  }
  // Waits until a call has come that is held; false after a minute.
  bool AwaitHeld(const std::string& call) {
    absl::MutexLock lock(&mu_);
    const auto waiting = [this, &call]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return waiting_[call] > 0; };
    return mu_.AwaitWithTimeout(absl::Condition(&waiting), absl::Minutes(1));
  }
  int calls(const std::string& call) {
    absl::MutexLock lock(&mu_);
    return calls_[call];
  }

  // The fake's part: counts the call, waits if it is held, fails if it is to.
  absl::Status Enter(const std::string& call) {
    absl::MutexLock lock(&mu_);
    ++calls_[call];
    ++waiting_[call];
    const auto free = [this, &call]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return held_.count(call) == 0; };
    mu_.Await(absl::Condition(&free));
    --waiting_[call];
    std::deque<absl::Status>& failures = failures_[call];
    if (failures.empty()) return absl::OkStatus();
    absl::Status status = std::move(failures.front());
    failures.pop_front();
    return status;
  }

 private:
  absl::Mutex mu_;
  std::map<std::string, std::deque<absl::Status>> failures_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> held_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> waiting_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_TESTING_CALL_FAILPOINTS_H_
