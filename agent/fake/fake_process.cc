#include "agent/fake/fake_process.h"

#include <signal.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace podvisor {
namespace {

// As much as the real agent keeps of a stream before it stops reading the program's pipe; "spam" alone is held back.
constexpr size_t kBufferBytes = 256 << 10;
constexpr absl::Duration kLongestWait = absl::Hours(24);

bool EndsByDefault(int signal) {
  switch (signal) {
    case 0:
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
      return false;
    default:
      return true;
  }
}

template <typename Number>
Number ArgumentOr(const std::vector<std::string>& args, size_t index, Number otherwise) {
  Number value;
  return index < args.size() && absl::SimpleAtoi(args[index], &value) ? value : otherwise;
}

}  // namespace

absl::Status FakeProcess::Start() {
  if (state_ != State::kCreated) return absl::FailedPreconditionError("process has been started before");
  const std::string name = args_.empty() ? "" : args_[0].substr(args_[0].rfind('/') + 1);
  if (name == "notfound") {
    return absl::InternalError(absl::StrCat("exec: \"", args_[0], "\": executable file not found in $PATH"));
  }
  state_ = State::kRunning;
  started_at_ = absl::Now();
  if (name == "true" || name == "false") {
    Exit(name == "false");
  } else if (name == "exit") {
    Exit(ArgumentOr(args_, 1, 0));
  } else if (name == "echo" || name == "warn") {
    const std::string line = absl::StrCat(absl::StrJoin(args_.begin() + 1, args_.end(), " "), "\n");
    Write(name == "echo" ? Stream::kStdout : Stream::kStderr, line);
    Exit(0);
  } else if (name == "cat") {
    echoes_stdin_ = true;
    if (stdin_closed_) Exit(0);
  } else if (double seconds; name == "sleep" && args_.size() > 1 && absl::SimpleAtod(args_[1], &seconds)) {
    if (seconds > absl::ToDoubleSeconds(kLongestWait)) return absl::OkStatus();
    alarm_.emplace(context_, absl::ToChronoNanoseconds(absl::Seconds(seconds)));
    alarm_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      if (auto self = weak.lock(); !error && self != nullptr) self->Exit(0);
    });
  } else if (name == "spam") {
    spam_lines_ = ArgumentOr<uint64_t>(args_, 1, 1);
    spam_line_bytes_ = std::max<size_t>(1, ArgumentOr<uint64_t>(args_, 2, 80));
    Spam();
  } else if (name == "rehearsal" && args_.size() > 1) {
    if (args_[1] == "true") {
      Exit(0);
    } else {
      Write(Stream::kStdout, "rehearsed\n");
    }
  } else if (name == "stubborn") {
    stubborn_ = true;
  }
  return absl::OkStatus();
}

void FakeProcess::Spam() {
  if (spam_lines_ == 0 || state_ != State::kRunning || out_.data.size() >= kBufferBytes) return;
  while (spam_next_ < spam_lines_ && out_.data.size() < kBufferBytes) {
    std::string line = absl::StrCat(spam_next_++, " ");
    line.resize(spam_line_bytes_ - 1, 'x');
    absl::StrAppend(&out_.data, line, "\n");
  }
  if (spam_next_ == spam_lines_) {
    Exit(0);
  } else {
    Wake(Wakeup::kChange);
  }
}

void FakeProcess::Signal(int signal) {
  if (state_ != State::kRunning || !EndsByDefault(signal)) return;
  if (stubborn_ && signal != SIGKILL) return;
  if (signal == SIGTERM && !args_.empty() && args_[0] == "/bin/rehearsal") return Exit(0);
  Exit(128 + signal);
}

void FakeProcess::Exit(int code) {
  if (state_ == State::kExited) return;
  auto self = shared_from_this();
  state_ = State::kExited;
  exit_code_ = code;
  finished_at_ = absl::Now();
  alarm_.reset();
  if (auto on_exit = std::exchange(on_exit_, nullptr); on_exit != nullptr) on_exit();
  Wake(Wakeup::kChange);
}

void FakeProcess::Release() {
  on_exit_ = nullptr;
  if (state_ == State::kRunning) Exit(128 + SIGKILL);
  Wake(Wakeup::kGone);
  out_.data.clear();
  err_.data.clear();
}

void FakeProcess::Write(Stream stream, absl::string_view data) {
  buffer(stream).data.append(data.data(), data.size());
  Wake(Wakeup::kChange);
}

absl::Status FakeProcess::WriteStdin(absl::string_view data) {
  if (stdin_closed_ || state_ == State::kExited) return absl::FailedPreconditionError("standard input is closed");
  if (echoes_stdin_) Write(Stream::kStdout, data);
  return absl::OkStatus();
}

void FakeProcess::CloseStdin() {
  stdin_closed_ = true;
  if (echoes_stdin_ && state_ == State::kRunning) Exit(0);
}

void FakeProcess::Acknowledge(Buffer& buffer, uint64_t offset) {
  const uint64_t end = buffer.begin + buffer.data.size();
  offset = std::clamp(offset, buffer.begin, end);
  buffer.data.erase(0, offset - buffer.begin);
  buffer.begin = offset;
  Spam();
}

void FakeProcess::ReadOutput(Stream stream, uint64_t offset, size_t max_bytes, absl::Duration wait, OutputDone done) {
  Acknowledge(buffer(stream), offset);
  Wait(wait, [this, stream, offset, max_bytes, done = std::move(done)](Wakeup wakeup) {
    if (wakeup == Wakeup::kGone) {
      done(absl::NotFoundError("process has been removed"));
      return true;
    }
    const Buffer& from = buffer(stream);
    const uint64_t begin = std::max(offset, from.begin);
    const uint64_t end = from.begin + from.data.size();
    Output output;
    output.offset = begin;
    if (begin < end) output.data = from.data.substr(begin - from.begin, max_bytes);
    output.eof = state_ == State::kExited && begin + output.data.size() >= end;
    if (output.data.empty() && !output.eof && wakeup == Wakeup::kChange) return false;
    done(std::move(output));
    return true;
  });
}

void FakeProcess::TakeOutput(Stream stream, size_t max_bytes, OutputDone done) {
  Wait(absl::InfiniteDuration(), [this, stream, max_bytes, done = std::move(done)](Wakeup wakeup) {
    Buffer& from = buffer(stream);
    if (from.data.empty() && state_ != State::kExited && wakeup == Wakeup::kChange) return false;
    if (wakeup == Wakeup::kGone || from.data.empty()) {
      done(absl::InvalidArgumentError("read meet eof"));  // the stock agent's words
      return true;
    }
    Output output;
    output.data = from.data.substr(0, max_bytes);
    output.offset = from.begin;
    from.begin += output.data.size();
    from.data.erase(0, output.data.size());
    done(std::move(output));
    // Not here and now: more output wakes the waiters, of which this is one.
    if (spam_lines_ > 0) boost::asio::post(context_, [self = shared_from_this()] { self->Spam(); });
    return true;
  });
}

void FakeProcess::WaitExit(absl::Duration wait, ExitDone done) {
  Wait(wait, [this, done = std::move(done)](Wakeup wakeup) {
    if (wakeup == Wakeup::kChange && state_ != State::kExited) return false;
    const bool gone = wakeup == Wakeup::kGone && state_ != State::kExited;
    done(gone ? absl::NotFoundError("process has been removed") : absl::OkStatus());
    return true;
  });
}

void FakeProcess::Wait(absl::Duration wait, std::function<bool(Wakeup)> serve) {
  if (serve(wait > absl::ZeroDuration() ? Wakeup::kChange : Wakeup::kTimeout)) return;
  auto waiter = std::make_shared<Waiter>(Waiter{std::move(serve), std::nullopt});
  waiters_.push_back(waiter);
  if (wait > kLongestWait) return;
  waiter->timer.emplace(context_, absl::ToChronoNanoseconds(wait));
  waiter->timer->async_wait([weak = weak_from_this(), waiter](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (error || self == nullptr || waiter->serve == nullptr) return;
    self->waiters_.remove(waiter);
    std::exchange(waiter->serve, nullptr)(Wakeup::kTimeout);
  });
}

void FakeProcess::Wake(Wakeup wakeup) {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    Waiter& waiter = **it;
    if (!waiter.serve(wakeup)) {
      ++it;
      continue;
    }
    waiter.serve = nullptr;
    waiter.timer.reset();
    it = waiters_.erase(it);
  }
}

}  // namespace podvisor
