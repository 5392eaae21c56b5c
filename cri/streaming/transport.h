// A client's TCP connection, with or without TLS, as one type.
#ifndef PODVISOR_CRI_STREAMING_TRANSPORT_H_
#define PODVISOR_CRI_STREAMING_TRANSPORT_H_

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/role.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace podvisor::cri {

using TransportHandler = std::function<void(boost::system::error_code, size_t)>;

// The connection itself. Callbacks come from the event loop, never from within the call. Not thread-safe.
class TransportConnection {
 public:
  virtual ~TransportConnection() = default;
  // TLS's greeting; nothing without TLS.
  virtual void Handshake(std::function<void(boost::system::error_code)> done) = 0;
  virtual void ReadSome(boost::asio::mutable_buffer buffer, TransportHandler done) = 0;
  virtual void WriteSome(std::vector<boost::asio::const_buffer> buffers, TransportHandler done) = 0;
  // The peer sees the end of what we send.
  virtual void EndWrite(std::function<void()> done) = 0;
  virtual void Close() = 0;
};

std::shared_ptr<TransportConnection> PlainConnection(boost::asio::ip::tcp::socket socket);
// `context` outlives it.
std::shared_ptr<TransportConnection> TlsConnection(boost::asio::ip::tcp::socket socket,
                                                   boost::asio::ssl::context& context);

// What Asio and Beast want to see of a stream: an AsyncReadStream and AsyncWriteStream. A handle, cheap to copy.
class Transport {
 public:
  using executor_type = boost::asio::io_context::executor_type;
  using lowest_layer_type = Transport;

  Transport(boost::asio::io_context& context, std::shared_ptr<TransportConnection> connection)
      : context_(&context), connection_(std::move(connection)), unread_(std::make_shared<std::string>()) {}

  executor_type get_executor() const noexcept { return context_->get_executor(); }
  Transport& lowest_layer() { return *this; }
  TransportConnection& connection() { return *connection_; }

  // Bytes that were read too early: they come first again.
  void Unread(std::string bytes) { *unread_ = std::move(bytes); }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, const Buffers& target) {
          boost::asio::mutable_buffer first;
          for (auto it = boost::asio::buffer_sequence_begin(target); it != boost::asio::buffer_sequence_end(target);
               ++it)
            if (first.size() == 0) first = boost::asio::mutable_buffer(*it);
          Read(first, Share(std::move(handler)));
        },
        token, buffers);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, const Buffers& source) {
          std::vector<boost::asio::const_buffer> pieces;
          for (auto it = boost::asio::buffer_sequence_begin(source);
               it != boost::asio::buffer_sequence_end(source) && pieces.size() < kMaxPieces; ++it)
            pieces.push_back(boost::asio::const_buffer(*it));
          connection_->WriteSome(std::move(pieces), Share(std::move(handler)));
        },
        token, buffers);
  }

 private:
  static constexpr size_t kMaxPieces = 16;

  // Handlers can't be copied, std::function's content has to be.
  template <typename Handler>
  static TransportHandler Share(Handler handler) {
    auto shared = std::make_shared<Handler>(std::move(handler));
    return [shared](boost::system::error_code error, size_t size) { (*shared)(error, size); };
  }

  void Read(boost::asio::mutable_buffer buffer, TransportHandler done);

  boost::asio::io_context* context_;
  std::shared_ptr<TransportConnection> connection_;
  std::shared_ptr<std::string> unread_;
};

// How Beast ends a WebSocket's connection: found by argument-dependent lookup.
template <typename Handler>
void async_teardown(boost::beast::role_type, Transport& transport, Handler&& handler) {
  auto shared = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
  transport.connection().EndWrite([shared] { (*shared)(boost::system::error_code()); });
}
inline void teardown(boost::beast::role_type, Transport& transport, boost::system::error_code&) {
  transport.connection().Close();
}
inline void beast_close_socket(Transport& transport) { transport.connection().Close(); }

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_TRANSPORT_H_
