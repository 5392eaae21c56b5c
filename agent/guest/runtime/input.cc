#include "agent/guest/runtime/input.h"

#include <errno.h>
#include <unistd.h>

#include <utility>

#include "agent/guest/runtime/pipe_size.h"
#include "base/status_macros.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxQueuedBytes = 1 << 20;

absl::Status Closed() { return absl::FailedPreconditionError("standard input is closed"); }

}  // namespace

Input::~Input() {
  if (watched_) loop_.Unwatch(fd_.get());
}

void Input::Write(std::string data, CallPtr call) {
  if (!fd_.ok() || closing_) return call->Fail(Closed());
  if (queued_ > 0 && queued_ + data.size() > kMaxQueuedBytes) {
    return call->Fail(absl::ResourceExhaustedError("standard input: 1 MiB waits for the program to read it"));
  }
  queued_ += data.size();
  chunks_.push_back({.data = std::move(data), .written = 0, .call = std::move(call)});
  if (!watched_) Drain();
}

void Input::Close() {
  if (kind_ == Kind::kTerminal) return;
  closing_ = true;
  if (!watched_) Drain();
}

void Input::Abandon() { Shut(Closed()); }

void Input::Drain() {
  const auto self = shared_from_this();
  while (!chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    const ssize_t put = chunk.data.empty()
                            ? 0
                            : ::write(fd_.get(), chunk.data.data() + chunk.written, chunk.data.size() - chunk.written);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) {
      if (!std::exchange(pipe_grown_, true)) {
        GrowPipe(fd_.get());
        continue;
      }
      if (watched_) return;
      watched_ = loop_.Watch(fd_.get(), EPOLLOUT, [this](uint32_t) { Drain(); }).ok();
      return;
    }
    if (put < 0) return Shut(absl::FailedPreconditionError("standard input: the program has closed it"));
    chunk.written += static_cast<size_t>(put);
    queued_ -= static_cast<size_t>(put);
    if (chunk.written < chunk.data.size()) continue;
    grpc::WriteStreamResponse response;
    response.set_len(static_cast<uint32_t>(chunk.data.size()));
    chunk.call->Reply(response);
    chunks_.pop_front();
  }
  if (watched_) loop_.Unwatch(fd_.get());
  watched_ = false;
  if (closing_) Shut(Closed());
}

void Input::Shut(const absl::Status& status) {
  if (watched_) loop_.Unwatch(fd_.get());
  watched_ = false;
  fd_.reset();
  for (const Chunk& chunk : chunks_) chunk.call->Fail(status);
  chunks_.clear();
  queued_ = 0;
}

}  // namespace podvisor::guest
