// ttrpc's framing: https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md.
//
//   0        4            8       9       10
//   | length | stream id  | type  | flags | payload (length bytes) |      both numbers big endian
//
// Standard library and absl::Status only: the guest's agent links it statically.
#ifndef PODVISOR_BASE_TTRPC_FRAME_H_
#define PODVISOR_BASE_TTRPC_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace podvisor {

inline constexpr size_t kFrameHeaderBytes = 10;
inline constexpr size_t kMaxFramePayloadBytes = 4 << 20;

enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

struct Frame {
  uint32_t stream_id = 0;  // odd: a call made by the client; the response has the request's
  FrameType type = FrameType::kRequest;
  uint8_t flags = 0;
  std::string payload;  // a serialized ttrpc.Request or ttrpc.Response

  friend bool operator==(const Frame&, const Frame&) = default;
};

// Appends to `out` what stands before a payload of so many bytes. kInvalidArgument, and `out` unchanged, if that is
// more than 4 MiB.
absl::Status AppendFrameHeader(uint32_t stream_id, FrameType type, size_t payload_bytes, std::string* out);
// Appends the frame's bytes to `out`. kInvalidArgument, and `out` unchanged, if the payload is larger than 4 MiB.
absl::Status EncodeFrame(const Frame& frame, std::string* out);

// Turns a byte stream, cut anywhere, into frames. Holds at most one frame that is not complete, so at most 4 MiB.
// Not thread-safe.
class FrameDecoder {
 public:
  // Appends to `frames` those that `bytes` completes. kInvalidArgument if a header has an impossible length or type:
  // then the stream cannot be followed any more and every further call fails too, until Reset(). Frames completed
  // before the error are in `frames`.
  absl::Status Feed(absl::string_view bytes, std::vector<Frame>* frames);

  // Forgets a half frame and an error.
  void Reset();

  // Bytes of a frame that is not complete.
  size_t pending_bytes() const { return header_.size() + frame_.payload.size(); }

 private:
  absl::Status ParseHeader();

  // Of the frame under way.
  std::string header_;
  size_t length_ = 0;  // of its payload, once the header is complete
  Frame frame_;
  absl::Status error_;
};

}  // namespace podvisor

#endif  // PODVISOR_BASE_TTRPC_FRAME_H_
