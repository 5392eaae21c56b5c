#include "cri/cancellation.h"

#include <utility>

#include "absl/time/time.h"

namespace podvisor::cri {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(200);

}  // namespace

CancellationWatch::CancellationWatch(std::function<bool()> ask) : ask_(std::move(ask)), thread_([this] { Run(); }) {}

CancellationWatch::~CancellationWatch() {
  {
    absl::MutexLock lock(&mu_);
    ended_ = true;
  }
  thread_.join();
}

void CancellationWatch::Run() {
  absl::MutexLock lock(&mu_);
  while (!mu_.AwaitWithTimeout(absl::Condition(&ended_), kInterval)) {
    if (ask_()) {
      cancelled_ = true;
      return;
    }
  }
}

}  // namespace podvisor::cri
