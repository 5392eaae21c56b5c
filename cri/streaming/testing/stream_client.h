// Clients of the streaming server, byte by byte and blocking: for tests.
#ifndef PODVISOR_CRI_STREAMING_TESTING_STREAM_CLIENT_H_
#define PODVISOR_CRI_STREAMING_TESTING_STREAM_CLIENT_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cri/streaming/spdy/header_block.h"

namespace podvisor::cri {

// A connection to the server of `url`. No read waits longer than a minute.
class RawClient {
 public:
  explicit RawClient(const std::string& url);

  // Sends a request for the URL's path; returns the status code, after the whole head of the answer.
  int Request(const std::string& method, const std::vector<std::string>& headers);
  const std::string& head() const { return head_; }
  void Write(const std::string& bytes);
  // False when the server has taken nothing for some seconds.
  bool TryWrite(const std::string& bytes);
  // Exactly `size` bytes; fewer at the connection's end.
  std::string Read(size_t size);
  std::string ReadAll();
  void CloseWrite();

 private:
  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_{context_};
  std::string path_, head_, unread_;
};

// Speaks SPDY on an upgraded connection.
class SpdyClient {
 public:
  // `protocols`: of X-Stream-Protocol-Version.
  SpdyClient(const std::string& url, const std::vector<std::string>& protocols);

  int status() const { return status_; }
  RawClient& raw() { return raw_; }
  // Opens a stream and waits for the answer: its id, or 0 if it was refused. `flags`: of SYN_STREAM.
  uint32_t Open(const spdy::Headers& headers, int flags = 0);
  void Send(uint32_t stream, const std::string& data);
  void EndStream(uint32_t stream);
  void Ping(uint32_t id);

  // Reads until the stream has ended, or the connection; what it has said so far.
  std::string ReadStream(uint32_t stream);
  // Reads until it has said `size` bytes.
  std::string ReadStream(uint32_t stream, size_t size);
  bool ReadPing(uint32_t id);
  bool has_ended(uint32_t stream) const { return ended_.count(stream) != 0; }

 private:
  void Control(int type, int flags, const std::string& body);
  // False at the end.
  bool ReadFrame();

  RawClient raw_;
  int status_ = 0;
  spdy::HeaderWriter headers_;
  uint32_t next_ = 1;
  std::map<uint32_t, std::string> data_;
  std::set<uint32_t> ended_, replied_, reset_, pings_;
};

// Speaks WebSocket frames, masked with zeros.
class WebSocketClient {
 public:
  WebSocketClient(const std::string& url, const std::string& protocol);

  int status() const { return status_; }
  RawClient& raw() { return raw_; }
  void Send(const std::string& message, bool text = false);
  void SendClose();
  // The next message; "" at the end, after which closed() tells whether it was a close frame's.
  std::string Read();
  bool closed() const { return closed_; }

 private:
  void Frame(int opcode, const std::string& payload);

  RawClient raw_;
  int status_ = 0;
  bool closed_ = false;
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_TESTING_STREAM_CLIENT_H_
