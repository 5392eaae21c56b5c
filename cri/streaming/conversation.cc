#include "cri/streaming/conversation.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace podvisor::cri {

Conversation::Conversation(ConversationOptions options, std::unique_ptr<Wire> wire)
    : options_(std::move(options)),
      wire_(std::move(wire)),
      active_at_(absl::Now()),
      idle_timer_(*options_.context),
      linger_timer_(*options_.context) {}

void Conversation::Begin(std::function<void()> ended) {
  ended_ = std::move(ended);
  WatchIdleness();
  OnBegin();
  MaybeRead();
}

void Conversation::Shutdown() {
  if (wire_ == nullptr || finishing_) return;
  OnShutdown();
  LeaveOnce(Leave::kShutdown);
  Finish();
}

void Conversation::Abort() { End(absl::CancelledError("podvisord is shutting down")); }

void Conversation::MaybeRead() {
  if (wire_ == nullptr || reading_) return;
  if (!finishing_ && (held_ >= kMaxHeld || unsent_bytes_ >= kMaxUnsent)) return;
  reading_ = true;
  wire_->Read([self = shared_from_this()](absl::StatusOr<std::string> data) {
    self->reading_ = false;
    self->active_at_ = absl::Now();
    if (!data.ok()) return self->End(data.status());
    if (!self->finishing_) {
      if (absl::Status status = self->OnInput(*std::move(data)); !status.ok()) return self->End(status);
    }
    self->MaybeRead();
  });
}

void Conversation::Release(size_t bytes) {
  held_ -= std::min(bytes, held_);
  MaybeRead();
}

void Conversation::Send(std::string data, std::function<void()> sent) {
  if (wire_ == nullptr) return;
  unsent_bytes_ += data.size();
  unsent_.push_back({.data = std::move(data), .sent = std::move(sent)});
  WriteNext();
}

void Conversation::WriteNext() {
  if (writing_ || wire_ == nullptr) return;
  if (unsent_.empty()) {
    if (finishing_) wire_->EndWrite();
    return;
  }
  writing_ = true;
  Piece piece = std::move(unsent_.front());
  unsent_.pop_front();
  const size_t size = piece.data.size();
  wire_->Write(std::move(piece.data),
               [self = shared_from_this(), size, sent = std::move(piece.sent)](const absl::Status& status) {
                 self->writing_ = false;
                 self->unsent_bytes_ -= size;
                 self->active_at_ = absl::Now();
                 if (!status.ok()) return self->End(status);
                 if (sent != nullptr) sent();
                 self->WriteNext();
                 self->MaybeRead();
               });
}

void Conversation::Finish() {
  if (std::exchange(finishing_, true) || wire_ == nullptr) return;
  LeaveOnce(Leave::kClientGone);
  linger_timer_.expires_after(absl::ToChronoNanoseconds(options_.linger));
  linger_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled) self->End(absl::DeadlineExceededError("the client does not close the connection"));
  });
  WriteNext();
  MaybeRead();
}

void Conversation::WatchIdleness() {
  const absl::Duration rest = active_at_ + options_.idle_timeout - absl::Now();
  if (rest <= absl::ZeroDuration())
    return End(absl::DeadlineExceededError(absl::StrCat("idle for ", absl::FormatDuration(options_.idle_timeout))));
  idle_timer_.expires_after(absl::ToChronoNanoseconds(rest));
  idle_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled && self->wire_ != nullptr) self->WatchIdleness();
  });
}

void Conversation::End(const absl::Status& why) {
  if (wire_ == nullptr) return;
  const auto self = shared_from_this();
  if (!finishing_) spdlog::debug("{}: the connection ends: {}", options_.subject, why.ToString());
  wire_ = nullptr;
  unsent_.clear();
  idle_timer_.cancel();
  linger_timer_.cancel();
  LeaveOnce(Leave::kClientGone);
  if (const std::function<void()> ended = std::exchange(ended_, nullptr)) ended();
}

void Conversation::LeaveOnce(Leave leave) {
  if (!std::exchange(left_, true)) OnGone(leave);
}

}  // namespace podvisor::cri
