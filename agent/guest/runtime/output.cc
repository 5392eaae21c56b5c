#include "agent/guest/runtime/output.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <utility>

#include "agent/guest/log.h"
#include "agent/guest/runtime/pipe_size.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::ReadOutputRequest;
using podvisor::agent::v1::ReadOutputResponse;

constexpr size_t kMaxAnswerBytes = 1 << 20;
constexpr size_t kMaxWaiters = 64;
char read_buffer[64 << 10];  // one thread

}  // namespace

Output::Output(Loop& loop, std::shared_ptr<UniqueFd> fd)
    : loop_(loop), fd_(std::move(fd)), eof_(fd_ == nullptr || !fd_->ok()) {}

Output::~Output() {
  SetWatched(false);
  for (const Waiter& waiter : waiters_) loop_.Cancel(waiter.timer);
}

void Output::Start() { SetWatched(true); }

void Output::SetWatched(bool watched) {
  if (watched == watched_ || (watched && eof_)) return;
  watched_ = watched;
  if (!watched) {
    loop_.Unwatch(fd_->get());
    return;
  }
  const absl::Status status = loop_.Watch(fd_->get(), EPOLLIN, [this](uint32_t) {
    const auto self = shared_from_this();
    Fill();
    ServeWaiters();
  });
  if (!status.ok()) Log("output: ", status.message());
}

void Output::Fill() {
  while (!eof_ && ring_.room() > 0) {
    // Where much comes, it is not copied once more; a program that says a word does not need the whole buffer.
    const std::span<char> space =
        pipe_grown_ ? ring_.Space(ring_.room()) : std::span(read_buffer, std::min(sizeof(read_buffer), ring_.room()));
    const ssize_t got = ::read(fd_->get(), space.data(), space.size());
    if (pipe_grown_) ring_.Commit(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) {
      if (pipe_grown_) continue;
      ring_.Append(absl::string_view(read_buffer, static_cast<size_t>(got)));
      pipe_grown_ = static_cast<size_t>(got) == sizeof(read_buffer);
      if (pipe_grown_) GrowPipe(fd_->get());
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN && !ending_) break;
    return Finish();  // a terminal says EIO when nobody has its other side open any more
  }
  // A closed pipe is reported for ever, wanted or not: while there is no room, it must not be watched at all.
  SetWatched(!eof_ && ring_.room() > 0);
  if (eof_ || ring_.room() > 0) return;
  if (const auto told = std::exchange(on_full_, nullptr)) told();
}

std::optional<std::string> Output::Whole() {
  const auto self = shared_from_this();
  Fill();
  ServeWaiters();
  if (!eof_ || ring_.begin() != 0) return std::nullopt;
  return std::string(ring_.Peek(0, ring_.size()));
}

void Output::Finish() {
  SetWatched(false);
  eof_ = true;
  fd_ = nullptr;
}

void Output::End() {
  if (eof_) return;
  const auto self = shared_from_this();
  ending_ = true;  // with no room left, the rest is read when somebody has made some
  Fill();
  ServeWaiters();
}

void Output::ReadOutput(const ReadOutputRequest& request, CallPtr call) {
  const uint64_t written = ring_.end();
  if (request.offset() > written) {
    return call->Fail(absl::OutOfRangeError(
        absl::StrCat("offset ", request.offset(), " is beyond the ", written, " bytes written so far")));
  }
  ring_.DropBefore(request.offset());
  if (!eof_ && !watched_) {
    const auto self = shared_from_this();
    Fill();
    ServeWaiters();
  }
  Waiter waiter{.call = std::move(call),
                .take = false,
                .offset = request.offset(),
                .max = std::clamp<size_t>(request.max_bytes(), 1, kMaxAnswerBytes)};
  if (Serve(waiter)) return;
  if (request.wait_ms() == 0 || waiters_.size() >= kMaxWaiters) {
    ReadOutputResponse empty;
    empty.set_offset(request.offset());
    return waiter.call->Reply(empty);
  }
  waiters_.push_back(waiter);
  const auto position = std::prev(waiters_.end());
  position->timer = loop_.After(request.wait_ms(), [this, position] {
    ReadOutputResponse empty;
    empty.set_offset(position->offset);
    position->call->Reply(empty);
    waiters_.erase(position);
  });
}

void Output::Take(uint32_t max_bytes, CallPtr call) {
  std::erase_if(waiters_, [](const Waiter& waiter) { return waiter.take && !waiter.call->IsAlive(); });
  if (waiters_.size() >= kMaxWaiters) {
    return call->Fail(absl::ResourceExhaustedError("too many calls wait for this output"));
  }
  waiters_.push_back(
      {.call = std::move(call), .take = true, .offset = 0, .max = std::clamp<size_t>(max_bytes, 1, kMaxAnswerBytes)});
  ServeWaiters();
}

void Output::ServeWaiters() {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    if (it->call->IsAlive() && !Serve(*it)) {
      ++it;
      continue;
    }
    loop_.Cancel(it->timer);
    it = waiters_.erase(it);
  }
}

bool Output::Serve(const Waiter& waiter) {
  const uint64_t offset = waiter.take ? ring_.begin() : std::max(waiter.offset, ring_.begin());
  const absl::string_view data = ring_.Peek(offset, waiter.max);
  if (data.empty() && !eof_) return false;
  if (!waiter.take) {
    ReadOutputResponse response;
    response.set_offset(offset);
    response.set_eof(eof_ && offset + data.size() == ring_.end());
    waiter.call->ReplyWithBytes(response, ReadOutputResponse::kDataFieldNumber, data);
    return true;
  }
  if (data.empty()) {
    waiter.call->Fail(absl::InvalidArgumentError("read meet eof"));  // the stock agent's words
    return true;
  }
  waiter.call->ReplyWithBytes(grpc::ReadStreamResponse(), grpc::ReadStreamResponse::kDataFieldNumber, data);
  ring_.DropBefore(offset + data.size());
  if (!eof_ && !watched_)
    loop_.Post([weak = weak_from_this()] {
      if (const auto self = weak.lock(); self != nullptr) {
        self->Fill();
        self->ServeWaiters();
      }
    });
  return true;
}

}  // namespace podvisor::guest
