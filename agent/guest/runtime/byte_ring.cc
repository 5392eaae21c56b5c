#include "agent/guest/runtime/byte_ring.h"

#include <string.h>

#include <algorithm>
#include <utility>

namespace podvisor::guest {
namespace {

// Most programs write less. A stream that brings more fills it all: to grow step by step would copy it as often.
constexpr size_t kSmallBytes = 16 << 10;

}  // namespace

void ByteRing::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> space = Space(bytes.size());
    ::memcpy(space.data(), bytes.data(), space.size());
    Commit(space.size());
    bytes.remove_prefix(space.size());
  }
}

std::span<char> ByteRing::Space(size_t wanted) {
  if (size_ + wanted > storage_bytes_) Grow(size_ + wanted);
  const size_t tail = (head_ + size_) % storage_bytes_;
  return {storage_.get() + tail, std::min(wanted, storage_bytes_ - tail)};
}

void ByteRing::Grow(size_t wanted) {
  const size_t bytes = wanted <= kSmallBytes ? std::min(kSmallBytes, capacity_) : capacity_;
  auto storage = std::make_unique_for_overwrite<char[]>(bytes);
  const absl::string_view first = Peek(begin_, size_);
  if (!first.empty()) ::memcpy(storage.get(), first.data(), first.size());
  const absl::string_view rest = Peek(begin_ + first.size(), size_);
  if (!rest.empty()) ::memcpy(storage.get() + first.size(), rest.data(), rest.size());
  storage_ = std::move(storage);
  storage_bytes_ = bytes;
  head_ = 0;
}

void ByteRing::DropBefore(uint64_t offset) {
  if (offset <= begin_) return;
  const auto dropped = static_cast<size_t>(offset - begin_);
  begin_ = offset;
  size_ -= dropped;
  head_ = (head_ + dropped) % storage_bytes_;
  FreeIfEmpty();
}

void ByteRing::Commit(size_t bytes) {
  size_ += bytes;
  FreeIfEmpty();
}

void ByteRing::FreeIfEmpty() {
  if (size_ > 0) return;
  storage_.reset();
  storage_bytes_ = 0;
  head_ = 0;
}

absl::string_view ByteRing::Peek(uint64_t offset, size_t max) const {
  const auto skipped = static_cast<size_t>(offset - begin_);
  if (skipped == size_) return {};
  const size_t from = (head_ + skipped) % storage_bytes_;
  return {storage_.get() + from, std::min({max, size_ - skipped, storage_bytes_ - from})};
}

}  // namespace podvisor::guest
