// Several byte streams over one: how NRI carries its two ttrpc connections over a plugin's socket.
// https://github.com/containerd/nri/tree/main/pkg/net/multiplex
//
//   0               4        8
//   | connection id | length | payload (length bytes) |      both numbers big endian
//
// Streams are not opened or closed: their numbers are agreed upon, 0 is reserved.
#ifndef PODVISOR_NRI_MUX_FRAME_H_
#define PODVISOR_NRI_MUX_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace podvisor {

inline constexpr uint32_t kPluginServiceStream = 1;   // we call the plugin
inline constexpr uint32_t kRuntimeServiceStream = 2;  // the plugin calls us

struct MuxFrame {
  uint32_t stream = 0;
  std::string payload;

  friend bool operator==(const MuxFrame&, const MuxFrame&) = default;
};

// Appends one ttrpc message of `stream` to `out`: in a frame of at most 4096 bytes, and a second one with the rest.
// Peers in Go read a frame at once into a buffer of 4096 bytes, or into the message's own once they know its length; a
// frame that does not fit ends their connection, and so do more than 256 frames that wait.
void AppendMuxMessage(uint32_t stream, absl::string_view message, std::string* out);

// Turns a byte stream, cut anywhere, into frames. Holds at most one frame that is not complete: a ttrpc message with
// its header, so 4 MiB and 10 bytes. Not thread-safe.
class MuxDecoder {
 public:
  // Appends to `frames` those that `bytes` completes. kInvalidArgument for a frame that is too long: the stream can't
  // be followed any more, and every further call fails too. Frames completed before are in `frames`.
  absl::Status Feed(absl::string_view bytes, std::vector<MuxFrame>* frames);

  // Bytes of a frame that is not complete.
  size_t pending_bytes() const { return buffer_.size(); }

 private:
  std::string buffer_;  // header and payload of the frame under way
  absl::Status error_;
};

}  // namespace podvisor

#endif  // PODVISOR_NRI_MUX_FRAME_H_
