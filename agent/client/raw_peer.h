// A peer without manners, for tests of the client: says what it is told, byte by byte.
#ifndef PODVISOR_AGENT_CLIENT_RAW_PEER_H_
#define PODVISOR_AGENT_CLIENT_RAW_PEER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ttrpc_frame.h"
#include "base/unique_fd.h"
#include "third_party/wire/ttrpc.pb.h"

namespace podvisor {

// Listens on a Unix socket and has one connection at a time. Blocking, with generous time-outs (kDeadlineExceeded), for
// a test's own thread.
class RawPeer {
 public:
  explicit RawPeer(const std::string& path);
  ~RawPeer();

  // Takes the next connection and closes the last one.
  absl::Status Accept();
  void Close() { connection_.reset(); }
  void StopListening();

  absl::Status Write(absl::string_view bytes);
  // The client sees the end of the stream, and can go on to write.
  void EndWrite();
  // Some bytes, at least one. kUnavailable at the end of the stream.
  absl::StatusOr<std::string> ReadSome();
  absl::StatusOr<std::string> ReadLine();
  // The next request; frames may be cut anywhere. For channels without a link layer.
  absl::StatusOr<Frame> ReadFrame();
  // Reads until the client has closed the connection.
  absl::Status AwaitClose();

  // The bytes of a response frame.
  static std::string Answer(uint32_t stream_id, const std::string& payload);

 private:
  const std::string path_;
  UniqueFd listener_;
  UniqueFd connection_;
  FrameDecoder decoder_;
  std::vector<Frame> frames_;
};

// The request in a frame.
ttrpc::Request RequestIn(const Frame& frame);

}  // namespace podvisor

#endif  // PODVISOR_AGENT_CLIENT_RAW_PEER_H_
