// A blocking ttrpc client for tests: one call at a time per connection.
#ifndef PODVISOR_AGENT_GUEST_TESTING_TTRPC_TEST_CLIENT_H_
#define PODVISOR_AGENT_GUEST_TESTING_TTRPC_TEST_CLIENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/protocol/serial_link.h"
#include "base/ttrpc_frame.h"
#include "base/unique_fd.h"
#include "google/protobuf/message_lite.h"

namespace podvisor::guest {

class TtrpcTestClient {
 public:
  // What lies between frames and bytes: nothing, or agent/protocol/serial_link.h.
  enum class Link { kNone, kSerial };

  // Fails the process if it cannot connect. With kSerial, returns when the guest has taken up the session.
  explicit TtrpcTestClient(const std::string& unix_path, Link link = Link::kNone);

  // Sends and returns the stream id: for calls that are answered later.
  uint32_t Send(const std::string& service, const std::string& method, const google::protobuf::MessageLite& request);
  // Waits for the answer to `stream_id`.
  absl::Status Receive(uint32_t stream_id, google::protobuf::MessageLite* response);
  absl::Status Call(const std::string& service, const std::string& method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite* response);
  // Bytes as they are.
  void SendRaw(const std::string& bytes);
  // True once the agent has closed the connection.
  bool WaitClosed();

 private:
  void StartSession();
  // Reads some bytes into `decoder_`.
  absl::Status ReadSome();

  UniqueFd fd_;
  std::optional<SerialHostLink> link_;
  uint32_t next_stream_ = 1;
  FrameDecoder decoder_;
  std::vector<Frame> received_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_TESTING_TTRPC_TEST_CLIENT_H_
