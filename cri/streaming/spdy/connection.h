// The server's side of one SPDY/3.1 connection: bytes in, events out; calls in, bytes out. Knows no socket.
//
// Kubernetes' clients and servers (spdystream) neither keep to SPDY's windows nor update them: what a stream may hold
// back is TCP's. So WINDOW_UPDATE and SETTINGS are read and ignored, here as there.
// Source: SPDY protocol, draft 3.1; behaviour of moby/spdystream.
#ifndef PODVISOR_CRI_STREAMING_SPDY_CONNECTION_H_
#define PODVISOR_CRI_STREAMING_SPDY_CONNECTION_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cri/streaming/spdy/header_block.h"

namespace podvisor::spdy {

// RST_STREAM's reasons, as far as they are used.
enum class ResetReason : uint32_t { kProtocolError = 1, kInvalidStream = 2, kRefusedStream = 3, kCancel = 5 };

enum class Fin { kNo, kYes };  // whether the sender has ended its direction of the stream

inline constexpr size_t kMaxStreams = 1024;  // open at once on a connection; more are refused
inline constexpr size_t kMaxControlBytes = 32 << 10;

class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  // A new stream. Answer with Reply() or Reset().
  virtual void OnStream(uint32_t id, const Headers& headers) = 0;
  // Some bytes, never empty: a frame may come in several pieces.
  virtual void OnData(uint32_t id, absl::string_view data) = 0;
  virtual void OnEnd(uint32_t id) = 0;    // the client sends no more
  virtual void OnReset(uint32_t id) = 0;  // the client wants neither direction any more
  virtual void OnGoAway() = 0;            // the client opens no more streams
};

// Not thread-safe. Events are called from within Feed() and may call back into this object, but not Feed() itself.
class Connection {
 public:
  explicit Connection(ConnectionEvents& events) : events_(events) {}

  // What has come, cut anywhere. An error is the end of the connection: frames that break the rules, or too large.
  absl::Status Feed(absl::string_view bytes);

  // Each appends a frame to what TakeOutput() gives. A stream that does not exist (any more) is no error: nothing
  // is sent.
  void Reply(uint32_t id);
  void Data(uint32_t id, absl::string_view data, Fin fin);
  void Reset(uint32_t id, ResetReason reason);
  void GoAway();

  std::string TakeOutput() { return std::exchange(output_, {}); }
  size_t output_size() const { return output_.size(); }
  size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    bool client_ended = false, server_ended = false;
  };
  struct FrameHead {
    bool control = false;
    uint16_t type = 0;
    uint8_t flags = 0;
    uint32_t stream_id = 0;  // data frames only
    uint32_t length = 0;
  };

  absl::Status OnHead();
  absl::Status OnControl(absl::string_view body);
  absl::Status OnSynStream(absl::string_view body);
  void OnDataPiece(absl::string_view piece);
  void EndOfClient(uint32_t id);
  void PutHead(uint16_t type, uint8_t flags, size_t length);
  void PutReset(uint32_t id, ResetReason reason);
  void ForgetIfEnded(uint32_t id);

  ConnectionEvents& events_;
  HeaderReader reader_;
  HeaderWriter writer_;
  std::string output_;

  std::string partial_;     // of a frame's head, then of a control frame's body
  bool have_head_ = false;  // head_ is valid
  FrameHead head_;
  uint32_t rest_ = 0;  // of a data frame

  std::map<uint32_t, Stream> streams_;
  uint32_t last_id_ = 0;
};

}  // namespace podvisor::spdy

#endif  // PODVISOR_CRI_STREAMING_SPDY_CONNECTION_H_
