// The part of a stream that somebody may still want, with its place in the whole stream.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_BYTE_RING_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_BYTE_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/strings/string_view.h"

namespace podvisor::guest {

// Bytes [begin, end) of a stream. Grows as it is filled, and takes no memory while it is empty.
class ByteRing {
 public:
  explicit ByteRing(size_t capacity) : capacity_(capacity) {}

  uint64_t begin() const { return begin_; }
  uint64_t end() const { return begin_ + size_; }
  size_t size() const { return size_; }
  size_t room() const { return capacity_ - size_; }

  // At most room() bytes.
  void Append(absl::string_view bytes);
  // Where the stream goes on, to be written to directly: 1 to `wanted` bytes, which is at most room(). Valid until the
  // next change; what has been written counts once it is committed. Nothing written: Commit(0) gives back the memory of
  // an empty ring.
  std::span<char> Space(size_t wanted);
  void Commit(size_t bytes);
  // Forgets what is before `offset` (at most end()).
  void DropBefore(uint64_t offset);
  // From `offset`, which lies in [begin, end], as many bytes as lie together, up to `max`: all of them as long as
  // nothing was dropped, and never none where there are some. Valid until the next change.
  absl::string_view Peek(uint64_t offset, size_t max) const;

 private:
  void Grow(size_t wanted);
  void FreeIfEmpty();

  const size_t capacity_;
  uint64_t begin_ = 0;
  std::unique_ptr<char[]> storage_;
  size_t storage_bytes_ = 0;
  size_t head_ = 0;  // where in storage_ the stream's byte begin_ is
  size_t size_ = 0;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_BYTE_RING_H_
