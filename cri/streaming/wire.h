// What is left of a client's connection after the upgrade: bytes, or a WebSocket's messages.
#ifndef PODVISOR_CRI_STREAMING_WIRE_H_
#define PODVISOR_CRI_STREAMING_WIRE_H_

#include <boost/asio/io_context.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cri/streaming/transport.h"

namespace podvisor::cri {

// In the event loop's thread. Callbacks come from the loop, not from within the call; none comes when the object is
// gone.
class Wire {
 public:
  virtual ~Wire() = default;

  // One at a time. A message, or some bytes; kOutOfRange when the client has ended its direction; other errors end all.
  virtual void Read(std::function<void(absl::StatusOr<std::string>)> done) = 0;
  // One at a time. Bytes, or one message.
  virtual void Write(std::string data, std::function<void(absl::Status)> done) = 0;
  // Ends our direction, after all that was written. Reads go on until the client ends its own.
  virtual void EndWrite() = 0;
};

std::unique_ptr<Wire> SocketWire(Transport transport);

using UpgradeRequest = boost::beast::http::request<boost::beast::http::empty_body>;

enum class MessageType { kBinary, kText };

// Accepts the WebSocket that `request` asks for, with `protocol` (empty: names none), then calls `done`.
void AcceptWebSocket(Transport transport, const UpgradeRequest& request, const std::string& protocol, MessageType type,
                     std::function<void(absl::StatusOr<std::unique_ptr<Wire>>)> done);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_WIRE_H_
