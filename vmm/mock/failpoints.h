// Calls of the mock hypervisor that fail or hang because a test says so.
#ifndef PODVISOR_VMM_MOCK_FAILPOINTS_H_
#define PODVISOR_VMM_MOCK_FAILPOINTS_H_

#include <cstdint>
#include <deque>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

enum class MockCall {
  kCreate,
  kAdopt,
  kCleanUp,
  kStart,
  kPause,
  kResume,
  kStop,
  kAttachDisk,
  kDetachDisk,
  kResize,
  kSaveTemplate,
  kUsage,
};

// Thread-safe. Failpoints of one call wait in order; each takes one call, whichever VM's it is.
class Failpoints {
 public:
  void FailNext(MockCall call, absl::Status status, int times = 1) ABSL_LOCKS_EXCLUDED(mu_);
  // The call blocks until ReleaseHung(), then goes on. After Vm::kVmmTimeout it fails with kUnavailable.
  void HangNext(MockCall call) ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseHung() ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks until a call hangs; false after `patience`.
  bool AwaitHung(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);

  // How often it was called, failures included.
  int calls(MockCall call) ABSL_LOCKS_EXCLUDED(mu_);

  // The mock's part: counts a call, and fails or blocks as its failpoint says.
  absl::Status Enter(MockCall call) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  std::map<MockCall, std::deque<absl::Status>> waiting_ ABSL_GUARDED_BY(mu_);  // OK: hang
  std::map<MockCall, int> calls_ ABSL_GUARDED_BY(mu_);
  uint64_t releases_ ABSL_GUARDED_BY(mu_) = 0;
  int hung_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_MOCK_FAILPOINTS_H_
