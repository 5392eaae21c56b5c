#include "cri/streaming/transport.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstring>

namespace podvisor::cri {
namespace {

using boost::asio::ip::tcp;

void CloseSocket(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

class Plain final : public TransportConnection {
 public:
  explicit Plain(tcp::socket socket) : socket_(std::move(socket)) {}

  void Handshake(std::function<void(boost::system::error_code)> done) override {
    boost::asio::post(socket_.get_executor(), [done = std::move(done)] { done({}); });
  }
  void ReadSome(boost::asio::mutable_buffer buffer, TransportHandler done) override {
    socket_.async_read_some(boost::asio::buffer(buffer), std::move(done));
  }
  void WriteSome(std::vector<boost::asio::const_buffer> buffers, TransportHandler done) override {
    socket_.async_write_some(buffers, std::move(done));
  }
  void EndWrite(std::function<void()> done) override {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    boost::asio::post(socket_.get_executor(), std::move(done));
  }
  void Close() override { CloseSocket(socket_); }

 private:
  tcp::socket socket_;
};

class Tls final : public TransportConnection {
 public:
  Tls(tcp::socket socket, boost::asio::ssl::context& context) : stream_(std::move(socket), context) {}

  void Handshake(std::function<void(boost::system::error_code)> done) override {
    stream_.async_handshake(boost::asio::ssl::stream_base::server, std::move(done));
  }
  void ReadSome(boost::asio::mutable_buffer buffer, TransportHandler done) override {
    stream_.async_read_some(boost::asio::buffer(buffer), std::move(done));
  }
  void WriteSome(std::vector<boost::asio::const_buffer> buffers, TransportHandler done) override {
    stream_.async_write_some(buffers, std::move(done));
  }
  // close_notify only: what the peer still sends is read after that. OpenSSL's answer is not waited for.
  void EndWrite(std::function<void()> done) override {
    stream_.async_shutdown([done = std::move(done)](boost::system::error_code) { done(); });
  }
  void Close() override { CloseSocket(stream_.next_layer()); }

 private:
  boost::asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

std::shared_ptr<TransportConnection> PlainConnection(tcp::socket socket) {
  return std::make_shared<Plain>(std::move(socket));
}

std::shared_ptr<TransportConnection> TlsConnection(tcp::socket socket, boost::asio::ssl::context& context) {
  return std::make_shared<Tls>(std::move(socket), context);
}

void Transport::Read(boost::asio::mutable_buffer buffer, TransportHandler done) {
  if (unread_->empty() || buffer.size() == 0) return connection_->ReadSome(buffer, std::move(done));
  const size_t size = std::min(buffer.size(), unread_->size());
  std::memcpy(buffer.data(), unread_->data(), size);
  unread_->erase(0, size);
  boost::asio::post(*context_, [done = std::move(done), size] { done({}, size); });
}

}  // namespace podvisor::cri
