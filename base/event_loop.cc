#include "base/event_loop.h"

#include <pthread.h>

namespace podvisor {

EventLoop::EventLoop(const std::string& name)
    : work_(boost::asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {
  ::pthread_setname_np(thread_.native_handle(), name.c_str());
}

EventLoop::~EventLoop() {
  context_.stop();
  thread_.join();
}

}  // namespace podvisor
