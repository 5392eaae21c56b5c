// A blocking ttrpc client for tests: one call at a time per connection.
#ifndef PODVISOR_AGENT_GUEST_TESTING_TTRPC_TEST_CLIENT_H_
#define PODVISOR_AGENT_GUEST_TESTING_TTRPC_TEST_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ttrpc_frame.h"
#include "base/unique_fd.h"
#include "google/protobuf/message_lite.h"

namespace podvisor::guest {

class TtrpcTestClient {
 public:
  // Fails the process if it cannot connect.
  explicit TtrpcTestClient(const std::string& unix_path);

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
  UniqueFd fd_;
  uint32_t next_stream_ = 1;
  FrameDecoder decoder_;
  std::vector<Frame> received_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_TESTING_TTRPC_TEST_CLIENT_H_
