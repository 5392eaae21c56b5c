#include "vmm/mock/exit_watch.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace podvisor {

void ExitWatch::Fire(const std::string& reason) {
  boost::asio::post(loop_.context(), [self = shared_from_this(), reason] { self->Run(reason); });
}

void ExitWatch::Run(const std::string& reason) {
  std::function<void(std::string)> on_exit;
  {
    absl::MutexLock lock(&mu_);
    if (on_exit_ == nullptr) return;
    on_exit = std::exchange(on_exit_, nullptr);
    running_ = true;
  }
  on_exit(reason);
  absl::MutexLock lock(&mu_);
  running_ = false;
}

void ExitWatch::Remove() {
  absl::MutexLock lock(&mu_);
  on_exit_ = nullptr;
  if (loop_.InLoop()) return;
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !running_; };
  mu_.Await(absl::Condition(&idle));
}

}  // namespace podvisor
