#include "agent/guest/runtime/byte_ring.h"

namespace podvisor::guest {
namespace {

constexpr size_t kSmallBytes = 16 << 10;

}  // namespace

void ByteRing::Append(absl::string_view bytes) {
  if (head_ > 0 && buffer_.size() + bytes.size() > capacity_) {
    buffer_.erase(0, head_);
    head_ = 0;
  }
  // A stream that brings so much at once fills it: to grow step by step would copy it as often.
  if (bytes.size() > kSmallBytes) buffer_.reserve(capacity_);
  buffer_.append(bytes.data(), bytes.size());
}

void ByteRing::DropBefore(uint64_t offset) {
  if (offset <= begin_) return;
  head_ += static_cast<size_t>(offset - begin_);
  begin_ = offset;
  if (head_ < buffer_.size()) return;
  buffer_ = std::string();
  head_ = 0;
}

absl::string_view ByteRing::Peek(uint64_t offset, size_t max) const {
  return absl::string_view(buffer_).substr(head_ + static_cast<size_t>(offset - begin_), max);
}

}  // namespace podvisor::guest
