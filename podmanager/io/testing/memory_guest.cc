#include "podmanager/io/testing/memory_guest.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "podmanager/io/log_position.h"
#include "podmanager/io/run_in_loop.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {

namespace {
constexpr absl::Duration kLongTime = absl::Seconds(60);
constexpr size_t kWholeOutput = 64 << 10;  // that RunExec has room for

// Done once: by the guest, or by the time.
AgentClient::Done WithDeadline(EventLoop& loop, absl::Time deadline, AgentClient::Done done) {
  if (deadline == absl::InfiniteFuture()) return done;
  auto once = std::make_shared<AgentClient::Done>(std::move(done));
  auto timer = std::make_shared<boost::asio::steady_timer>(loop.context());
  timer->expires_after(absl::ToChronoNanoseconds(deadline - absl::Now()));
  timer->async_wait([timer, once](const boost::system::error_code& error) {
    if (!error && *once) std::exchange(*once, nullptr)(absl::DeadlineExceededError("no answer in time"));
  });
  return [timer, once](absl::StatusOr<std::string> answer) {
    timer->cancel();
    if (*once) std::exchange(*once, nullptr)(std::move(answer));
  };
}
}  // namespace

void MemoryGuest::Do(const std::function<void()>& step) { RunInLoop(loop_, step); }

void MemoryGuest::Print(const std::string& exec_id, OutputStream stream, const std::string& text) {
  Do([&] {
    processes_[exec_id].stream[Index(stream)].data += text;
    Wake();
  });
}

void MemoryGuest::EndStream(const std::string& exec_id, OutputStream stream) {
  Do([&] {
    processes_[exec_id].stream[Index(stream)].ended = true;
    Wake();
  });
}

void MemoryGuest::Exit(const std::string& exec_id, int code) {
  Do([&] {
    Process& process = processes_[exec_id];
    process.exit_code = code;
    process.stream[0].ended = process.stream[1].ended = true;
    Wake();
  });
}

void MemoryGuest::ExitLeavingChild(const std::string& exec_id, int code) {
  Do([&] {
    processes_[exec_id].exit_code = code;
    Wake();
  });
}

void MemoryGuest::FailNext(const std::string& method, absl::Status status, int count) {
  Do([&] { failures_[method].insert(failures_[method].end(), count, status); });
}

void MemoryGuest::BreakNext(const std::string& method, Loss loss) {
  Do([&] { broken_[method] = loss; });
}

void MemoryGuest::LieAboutOutput(Lie lie) {
  Do([&] { lie_ = std::move(lie); });
}

void MemoryGuest::OnExec(std::function<void(const std::string&)> program) {
  Do([&] { program_ = std::move(program); });
}

uint64_t MemoryGuest::acknowledged(const std::string& exec_id, OutputStream stream) {
  uint64_t result = 0;
  Do([&] { result = processes_[exec_id].stream[Index(stream)].acknowledged; });
  return result;
}

int MemoryGuest::calls(const std::string& method) {
  int result = 0;
  Do([&] { result = calls_[method]; });
  return result;
}

int MemoryGuest::signal(const std::string& exec_id) {
  int result = 0;
  Do([&] { result = processes_[exec_id].signal; });
  return result;
}

bool MemoryGuest::stdin_closed(const std::string& exec_id) {
  bool result = false;
  Do([&] { result = processes_[exec_id].stdin_closed; });
  return result;
}

bool MemoryGuest::released(const std::string& exec_id) {
  bool result = false;
  Do([&] { result = processes_[exec_id].released; });
  return result;
}

bool MemoryGuest::AwaitCalls(const std::string& method, int count) {
  auto reached = std::make_shared<absl::Notification>();
  Do([&] {
    if (calls_[method] >= count) return reached->Notify();
    awaited_.push_back({{method, count}, [reached] { reached->Notify(); }});
  });
  return reached->WaitForNotificationWithTimeout(kLongTime);
}

void MemoryGuest::CallAsync(absl::string_view, absl::string_view method, const google::protobuf::MessageLite& request,
                            absl::Time deadline, Done done) {
  boost::asio::post(loop_.context(), [this, method = std::string(method), request = request.SerializeAsString(),
                                      deadline, done = std::move(done)]() mutable {
    if (closed_) return done(absl::CancelledError("closed"));
    done = WithDeadline(loop_, deadline, std::move(done));
    ++calls_[method];
    for (auto it = awaited_.begin(); it != awaited_.end();) {
      const auto& [what, notify] = *it;
      if (what.first != method || calls_[method] < what.second) {
        ++it;
        continue;
      }
      notify();
      it = awaited_.erase(it);
    }
    Serve(method, request, std::move(done));
  });
}

void MemoryGuest::Serve(const std::string& method, const std::string& request, Done done) {
  if (std::list<absl::Status>& failures = failures_[method]; !failures.empty()) {
    const absl::Status status = failures.front();
    failures.pop_front();
    return done(status);
  }
  if (auto it = broken_.find(method); it != broken_.end()) {
    const Loss loss = it->second;
    broken_.erase(it);
    const absl::Status status = absl::UnavailableError("connection broken");
    if (loss == Loss::kRequest) return done(status);
    done(status);
    done = [](const absl::StatusOr<std::string>&) {};
  }
  if (method == "ReadStdout") return ServePlainRead(OutputStream::kStdout, request, std::move(done));
  if (method == "ReadStderr") return ServePlainRead(OutputStream::kStderr, request, std::move(done));
  if (method == "WaitProcess") return ServeWaitProcess(request, std::move(done));
  if (method == "ExecProcess") return ServeExec(request, std::move(done));
  if (method == "CloseStdin") {
    grpc::CloseStdinRequest message;
    message.ParseFromString(request);
    processes_[message.exec_id()].stdin_closed = true;
    return done("");
  }
  if (method == "SignalProcess") {
    grpc::SignalProcessRequest message;
    message.ParseFromString(request);
    Process& process = processes_[message.exec_id()];
    process.signal = static_cast<int>(message.signal());
    process.stream[0].ended = process.stream[1].ended = true;
    if (!process.exit_code) process.exit_code = 128 + process.signal;
    Wake();
    return done("");
  }
  if (kind_ == Kind::kPlainKata) return done(absl::UnimplementedError(method));
  if (kind_ == Kind::kPodvisor && method == "RunExec") return ServeRunExec(request, std::move(done));
  if (method == "ReadOutput") return ServeReadOutput(request, std::move(done));
  if (method == "WaitExit") return ServeWaitExit(request, std::move(done));
  if (method == "ReleaseExec") {
    agent::v1::ReleaseExecRequest message;
    message.ParseFromString(request);
    Process& process = processes_[message.exec_id()];
    if (!process.exit_code) return done(absl::FailedPreconditionError("the exec still runs"));
    process.released = true;
    return done("");
  }
  done(absl::UnimplementedError(method));
}

void MemoryGuest::ServeReadOutput(const std::string& request_bytes, Done done) {
  agent::v1::ReadOutputRequest request;
  request.ParseFromString(request_bytes);
  if (lie_) return done(lie_(request).SerializeAsString());
  Stream& stream = processes_[request.exec_id()].stream[request.stream()];
  stream.acknowledged = std::max(stream.acknowledged, request.offset());
  Wait(absl::Milliseconds(request.wait_ms()), done, [&stream, request, done](bool time_is_up) {
    const uint64_t begin = std::max(stream.acknowledged, request.offset());
    if (begin > stream.data.size()) {
      done(absl::OutOfRangeError("offset past the end"));
      return true;
    }
    const bool all = stream.data.size() - begin <= request.max_bytes();
    if (begin == stream.data.size() && !stream.ended && !time_is_up) return false;
    agent::v1::ReadOutputResponse response;
    response.set_offset(begin);
    response.set_data(stream.data.substr(begin, request.max_bytes()));
    response.set_eof(all && stream.ended);
    done(response.SerializeAsString());
    return true;
  });
}

void MemoryGuest::ServePlainRead(OutputStream which, const std::string& request_bytes, Done done) {
  grpc::ReadStreamRequest request;
  request.ParseFromString(request_bytes);
  Stream& stream = processes_[request.exec_id()].stream[Index(which)];
  Wait(absl::InfiniteDuration(), done, [&stream, request, done](bool) {
    if (stream.acknowledged == stream.data.size() && !stream.ended) return false;
    if (stream.acknowledged == stream.data.size()) {
      done(absl::InvalidArgumentError("read meet eof"));
      return true;
    }
    grpc::ReadStreamResponse response;
    response.set_data(stream.data.substr(stream.acknowledged, request.len()));
    stream.acknowledged += response.data().size();
    done(response.SerializeAsString());
    return true;
  });
}

void MemoryGuest::ServeWaitExit(const std::string& request_bytes, Done done) {
  agent::v1::WaitExitRequest request;
  request.ParseFromString(request_bytes);
  Process& process = processes_[request.exec_id()];
  Wait(absl::Milliseconds(request.wait_ms()), done, [&process, request, done](bool time_is_up) {
    if (!process.exit_code && !time_is_up) return false;
    agent::v1::ProcessState state;
    state.set_container_id(request.container_id());
    state.set_exec_id(request.exec_id());
    state.set_started(true);
    state.set_exited(process.exit_code.has_value());
    state.set_exit_code(process.exit_code.value_or(0));
    done(state.SerializeAsString());
    return true;
  });
}

void MemoryGuest::ServeWaitProcess(const std::string& request_bytes, Done done) {
  grpc::WaitProcessRequest request;
  request.ParseFromString(request_bytes);
  Process& process = processes_[request.exec_id()];
  Wait(absl::InfiniteDuration(), done, [&process, done](bool) {
    if (!process.exit_code) return false;
    grpc::WaitProcessResponse response;
    response.set_status(*process.exit_code);
    done(response.SerializeAsString());
    return true;
  });
}

void MemoryGuest::ServeExec(const std::string& request_bytes, Done done) {
  grpc::ExecProcessRequest request;
  request.ParseFromString(request_bytes);
  processes_[request.exec_id()];
  done("");
  if (program_) program_(request.exec_id());
}

void MemoryGuest::ServeRunExec(const std::string& request_bytes, Done done) {
  agent::v1::RunExecRequest request;
  request.ParseFromString(request_bytes);
  const std::string id = request.exec().exec_id();
  Process& process = processes_[id];
  process.stdin_closed = true;
  Wait(absl::Milliseconds(request.wait_ms()), done, [&process, done](bool time_is_up) {
    const Stream& out = process.stream[0];
    const Stream& err = process.stream[1];
    const bool full = std::max(out.data.size(), err.data.size()) > kWholeOutput;
    if (!process.exit_code && !full && !time_is_up) return false;
    agent::v1::RunExecResponse response;
    if (process.exit_code && !full && out.ended && err.ended) {
      response.set_done(true);
      response.set_exit_code(*process.exit_code);
      response.set_stdout(out.data);
      response.set_stderr(err.data);
      process.released = true;
    }
    done(response.SerializeAsString());
    return true;
  });
  if (program_) program_(id);
}

void MemoryGuest::Wait(absl::Duration time, Done done, std::function<bool(bool)> serve) {
  if (serve(false)) return;
  auto waiter = std::make_shared<Waiter>(Waiter{std::move(serve), std::move(done)});
  waiters_.push_back(waiter);
  if (time == absl::InfiniteDuration()) return;
  auto timer = std::make_shared<boost::asio::steady_timer>(loop_.context());
  timer->expires_after(absl::ToChronoNanoseconds(time));
  timer->async_wait([this, timer, waiter](const boost::system::error_code&) {
    const auto it = std::find(waiters_.begin(), waiters_.end(), waiter);
    if (it == waiters_.end()) return;
    waiters_.erase(it);
    waiter->serve(true);
  });
}

void MemoryGuest::Wake() {
  std::list<std::shared_ptr<Waiter>> waiters;
  waiters.swap(waiters_);
  for (const auto& waiter : waiters)
    if (!waiter->serve(false)) waiters_.push_back(waiter);
}

void MemoryGuest::Close() {
  Do([this] {
    closed_ = true;
    std::list<std::shared_ptr<Waiter>> waiters;
    waiters.swap(waiters_);
    for (const auto& waiter : waiters) waiter->done(absl::CancelledError("closed"));
  });
}

}  // namespace podvisor
