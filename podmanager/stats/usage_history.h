// The figures that one guest has given: the newest, and who is waiting for newer ones.
#ifndef PODVISOR_PODMANAGER_STATS_USAGE_HISTORY_H_
#define PODVISOR_PODMANAGER_STATS_USAGE_HISTORY_H_

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "agent/protocol/extension.pb.h"

namespace podvisor {

// One answer of a guest.
struct UsageSample {
  absl::Time at;  // when it came, by the host's clock
  agent::v1::GetStatsResponse figures;
  // CPU since an earlier answer, by container id; "" is the pod. Absent with the first answer that has it.
  std::map<std::string, uint64_t> nano_cores;

  const agent::v1::ContainerUsage* Find(const std::string& container_id) const;
};

// Thread-safe; its lock is a leaf. A guest is asked once at a time, however many calls want its figures: one that hangs
// holds one call, not one for each.
class UsageHistory {
 public:
  // Null before the first answer. Immutable.
  std::shared_ptr<const UsageSample> Newest() const;

  // True: the caller has to ask, and to call Answer() once whatever comes of it. False: an answer is under way.
  bool BeginAsking();
  // An error leaves the figures as they are.
  void Answer(absl::StatusOr<agent::v1::GetStatsResponse> answer, absl::Time at);
  // Whether no answer is under way by `deadline`.
  bool AwaitAnswer(absl::Time deadline);

 private:
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !asking_; }

  mutable absl::Mutex mu_;
  bool asking_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<const UsageSample> newest_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_STATS_USAGE_HISTORY_H_
