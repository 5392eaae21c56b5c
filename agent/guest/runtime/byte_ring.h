// The part of a stream that somebody may still want, with its place in the whole stream.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_BYTE_RING_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_BYTE_RING_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace podvisor::guest {

// Bytes [begin, end) of a stream. Grows as it is filled, and takes no memory while it is empty.
class ByteRing {
 public:
  explicit ByteRing(size_t capacity) : capacity_(capacity) {}

  uint64_t begin() const { return begin_; }
  uint64_t end() const { return begin_ + size(); }
  size_t size() const { return buffer_.size() - head_; }
  size_t room() const { return capacity_ - size(); }

  // At most room() bytes.
  void Append(absl::string_view bytes);
  // Forgets what is before `offset` (at most end()).
  void DropBefore(uint64_t offset);
  // Up to `max` bytes from `offset`, which lies in [begin, end]. Valid until the next change.
  absl::string_view Peek(uint64_t offset, size_t max) const;

 private:
  const size_t capacity_;
  uint64_t begin_ = 0;
  std::string buffer_;
  size_t head_ = 0;  // bytes of buffer_ that are dropped already
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_BYTE_RING_H_
