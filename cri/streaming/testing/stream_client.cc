#include "cri/streaming/testing/stream_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <boost/asio/write.hpp>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace podvisor::cri {
namespace {

std::string Big(uint64_t number, int size) {
  std::string out;
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
  return out;
}

uint64_t Number(const std::string& bytes, size_t at, size_t size) {
  uint64_t number = 0;
  for (size_t i = at; i < at + size && i < bytes.size(); ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

}  // namespace

RawClient::RawClient(const std::string& url) {
  const std::vector<std::string> words = absl::StrSplit(url, absl::MaxSplits('/', 3));  // http: "" HOST:PORT PATH
  path_ = absl::StrCat("/", words.size() > 3 ? words[3] : "");
  const std::vector<std::string> address = absl::StrSplit(words.at(2), ':');
  socket_.connect({boost::asio::ip::make_address(address.at(0)), static_cast<uint16_t>(std::stoi(address.at(1)))});
  const timeval patience{.tv_sec = 60, .tv_usec = 0};
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

int RawClient::Request(const std::string& method, const std::vector<std::string>& headers) {
  std::string request = absl::StrCat(method, " ", path_, " HTTP/1.1\r\nHost: localhost\r\n");
  for (const std::string& header : headers) absl::StrAppend(&request, header, "\r\n");
  Write(request + "\r\n");
  while (head_.size() < 4 || head_.compare(head_.size() - 4, 4, "\r\n\r\n") != 0) {
    const std::string byte = Read(1);
    if (byte.empty()) break;
    head_ += byte;
  }
  return head_.size() > 12 ? std::atoi(head_.c_str() + 9) : 0;
}

void RawClient::Write(const std::string& bytes) { boost::asio::write(socket_, boost::asio::buffer(bytes)); }

bool RawClient::TryWrite(const std::string& bytes) {
  const timeval patience{.tv_sec = 3, .tv_usec = 0};
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t put = ::send(socket_.native_handle(), bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL);
    if (put <= 0) return false;
    written += static_cast<size_t>(put);
  }
  return true;
}

std::string RawClient::Read(size_t size) {
  while (unread_.size() < size) {
    char buffer[4096];
    const ssize_t got = ::recv(socket_.native_handle(), buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    unread_.append(buffer, static_cast<size_t>(got));
  }
  std::string bytes = unread_.substr(0, size);
  unread_.erase(0, bytes.size());
  return bytes;
}

std::string RawClient::ReadAll() {
  std::string all;
  for (std::string some = Read(1); !some.empty(); some = Read(1)) all += some;
  return all;
}

void RawClient::CloseWrite() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send); }

SpdyClient::SpdyClient(const std::string& url, const std::vector<std::string>& protocols) : raw_(url) {
  std::vector<std::string> headers = {"Connection: Upgrade", "Upgrade: SPDY/3.1"};
  for (const std::string& protocol : protocols) headers.push_back("X-Stream-Protocol-Version: " + protocol);
  status_ = raw_.Request("POST", headers);
}

void SpdyClient::Control(int type, int flags, const std::string& body) {
  raw_.Write(absl::StrCat(Big(0x8003, 2), Big(type, 2), Big(flags, 1), Big(body.size(), 3), body));
}

uint32_t SpdyClient::Open(const spdy::Headers& headers, int flags) {
  const uint32_t id = next_;
  next_ += 2;
  Control(1, flags, absl::StrCat(Big(id, 4), Big(0, 4), Big(0, 2), headers_.Write(headers)));
  while (replied_.count(id) == 0 && reset_.count(id) == 0 && ReadFrame()) {
  }
  return replied_.count(id) != 0 ? id : 0;
}

void SpdyClient::Send(uint32_t stream, const std::string& data) {
  raw_.Write(absl::StrCat(Big(stream, 4), Big(0, 1), Big(data.size(), 3), data));
}

void SpdyClient::EndStream(uint32_t stream) { raw_.Write(absl::StrCat(Big(stream, 4), Big(1, 1), Big(0, 3))); }

void SpdyClient::Ping(uint32_t id) { Control(6, 0, Big(id, 4)); }

bool SpdyClient::ReadFrame() {
  const std::string head = raw_.Read(8);
  if (head.size() < 8) return false;
  const std::string body = raw_.Read(Number(head, 5, 3));
  const bool fin = (head[4] & 1) != 0;
  if ((head[0] & 0x80) == 0) {
    const auto id = static_cast<uint32_t>(Number(head, 0, 4));
    data_[id] += body;
    if (fin) ended_.insert(id);
    return true;
  }
  const auto id = static_cast<uint32_t>(Number(body, 0, 4));
  switch (Number(head, 2, 2)) {
    case 2:
      replied_.insert(id);
      break;
    case 3:
      reset_.insert(id);
      ended_.insert(id);
      break;
    case 6:
      pings_.insert(id);
      break;
    default:
      break;
  }
  return true;
}

std::string SpdyClient::ReadStream(uint32_t stream) {
  while (ended_.count(stream) == 0 && ReadFrame()) {
  }
  return data_[stream];
}

std::string SpdyClient::ReadStream(uint32_t stream, size_t size) {
  while (data_[stream].size() < size && ended_.count(stream) == 0 && ReadFrame()) {
  }
  return data_[stream];
}

bool SpdyClient::ReadPing(uint32_t id) {
  while (pings_.count(id) == 0 && ReadFrame()) {
  }
  return pings_.count(id) != 0;
}

WebSocketClient::WebSocketClient(const std::string& url, const std::string& protocol) : raw_(url) {
  std::vector<std::string> headers = {"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="};
  if (!protocol.empty()) headers.push_back("Sec-WebSocket-Protocol: " + protocol);
  status_ = raw_.Request("GET", headers);
}

void WebSocketClient::Frame(int opcode, const std::string& payload) {
  std::string length;
  if (payload.size() < 126) {
    length = Big(0x80 | payload.size(), 1);
  } else {
    length = Big(0x80 | 127, 1) + Big(payload.size(), 8);
  }
  raw_.Write(absl::StrCat(Big(0x80 | opcode, 1), length, Big(0, 4), payload));
}

void WebSocketClient::Send(const std::string& message, bool text) { Frame(text ? 1 : 2, message); }

void WebSocketClient::SendClose() { Frame(8, Big(1000, 2)); }

std::string WebSocketClient::Read() {
  const std::string head = raw_.Read(2);
  if (head.size() < 2) return "";
  size_t size = head[1] & 0x7f;
  if (size == 126) size = Number(raw_.Read(2), 0, 2);
  if (size == 127) size = Number(raw_.Read(8), 0, 8);
  const std::string payload = raw_.Read(size);
  if ((head[0] & 0x0f) != 8) return payload;
  closed_ = true;
  return "";
}

}  // namespace podvisor::cri
