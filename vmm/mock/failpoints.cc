#include "vmm/mock/failpoints.h"

#include <utility>

#include "vmm/hypervisor.h"

namespace podvisor {

void Failpoints::FailNext(MockCall call, absl::Status status, int times) {
  absl::MutexLock lock(&mu_);
  for (int i = 0; i < times; ++i) waiting_[call].push_back(status);
}

void Failpoints::HangNext(MockCall call) { FailNext(call, absl::OkStatus()); }

void Failpoints::ReleaseHung() {
  absl::MutexLock lock(&mu_);
  ++releases_;
}

bool Failpoints::AwaitHung(absl::Duration patience) {
  auto hangs = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return hung_ > 0; };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&hangs), patience);
}

int Failpoints::calls(MockCall call) {
  absl::MutexLock lock(&mu_);
  return calls_[call];
}

absl::Status Failpoints::Enter(MockCall call) {
  absl::MutexLock lock(&mu_);
  ++calls_[call];
  std::deque<absl::Status>& waiting = waiting_[call];
  if (waiting.empty()) return absl::OkStatus();
  absl::Status status = std::move(waiting.front());
  waiting.pop_front();
  if (!status.ok()) return status;
  ++hung_;
  const uint64_t release = releases_ + 1;
  auto released = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return releases_ >= release; };
  const bool goes_on = mu_.AwaitWithTimeout(absl::Condition(&released), Vm::kVmmTimeout);
  --hung_;
  return goes_on ? absl::OkStatus() : absl::UnavailableError("the mock VMM does not reply");
}

}  // namespace podvisor
