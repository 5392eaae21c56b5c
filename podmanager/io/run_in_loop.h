// A step of another thread that has to be made in the event loop's.
#ifndef PODVISOR_PODMANAGER_IO_RUN_IN_LOOP_H_
#define PODVISOR_PODMANAGER_IO_RUN_IN_LOOP_H_

#include <boost/asio/post.hpp>
#include <functional>
#include <memory>

#include "absl/synchronization/notification.h"
#include "base/event_loop.h"

namespace podvisor {

// Runs `step` in the loop and waits for it; at once if this is the loop's thread. The loop must not end meanwhile.
inline void RunInLoop(EventLoop& loop, const std::function<void()>& step) {
  if (loop.InLoop()) return step();
  absl::Notification done;
  boost::asio::post(loop.context(), [&step, &done] {
    step();
    done.Notify();
  });
  done.WaitForNotification();
}

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_RUN_IN_LOOP_H_
