// The thread that all I/O runs on.
#ifndef PODVISOR_BASE_EVENT_LOOP_H_
#define PODVISOR_BASE_EVENT_LOOP_H_

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <thread>

namespace podvisor {

// Owns an io_context and the one thread that runs it. Handlers must not block: they would hold up every pod.
// The destructor stops the loop and joins the thread; handlers that have not run are destroyed then.
class EventLoop {
 public:
  // `name` is the thread's, at most 15 characters.
  explicit EventLoop(const std::string& name);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  boost::asio::io_context& context() { return context_; }
  // True in the loop's own thread: where a blocking wait for a handler would never end.
  bool InLoop() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_EVENT_LOOP_H_
