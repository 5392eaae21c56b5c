#include "cri/progress_stream.h"

#include <utility>

namespace podvisor::cri {

ProgressStream::ProgressStream(std::function<void(const PullProgress&)> write)
    : write_(std::move(write)), thread_([this] { Run(); }) {}

void ProgressStream::Update(const PullProgress& progress) {
  absl::MutexLock lock(&mu_);
  latest_ = progress;
  fresh_ = true;
}

void ProgressStream::Finish() {
  {
    absl::MutexLock lock(&mu_);
    ended_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void ProgressStream::Run() {
  const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return fresh_ || ended_; };
  while (true) {
    PullProgress progress;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&due));
      if (!fresh_) return;
      fresh_ = false;
      progress = latest_;
    }
    write_(progress);
  }
}

}  // namespace podvisor::cri
