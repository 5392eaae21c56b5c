#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <utility>

#include "cri/streaming/wire.h"

namespace podvisor::cri {
namespace {

namespace websocket = boost::beast::websocket;

// A message is held in memory whole. Kubernetes' clients send 32 KiB at most.
constexpr size_t kMaxMessage = 1 << 20;

struct State {
  explicit State(Transport transport) : stream(std::move(transport)) {}
  websocket::stream<Transport, /*deflateSupported=*/false> stream;
  boost::beast::flat_buffer read_buffer;
  std::string write_buffer;
  UpgradeRequest request;
  bool gone = false;
};

absl::Status ToStatus(boost::system::error_code error) {
  if (error == websocket::error::closed) return absl::OutOfRangeError("the client has ended");
  return absl::UnavailableError(error.message());
}

class Messages final : public Wire {
 public:
  explicit Messages(std::shared_ptr<State> state) : state_(std::move(state)) {}

  ~Messages() override {
    state_->gone = true;
    state_->stream.next_layer().connection().Close();
  }

  void Read(std::function<void(absl::StatusOr<std::string>)> done) override {
    state_->stream.async_read(state_->read_buffer,
                              [state = state_, done = std::move(done)](boost::system::error_code error, size_t) {
                                if (state->gone) return;
                                if (error) return done(ToStatus(error));
                                std::string message = boost::beast::buffers_to_string(state->read_buffer.data());
                                state->read_buffer = {};  // an idle client costs no memory
                                done(std::move(message));
                              });
  }

  void Write(std::string data, std::function<void(absl::Status)> done) override {
    state_->write_buffer = std::move(data);
    state_->stream.async_write(boost::asio::buffer(state_->write_buffer),
                               [state = state_, done = std::move(done)](boost::system::error_code error, size_t) {
                                 if (state->gone) return;
                                 done(error ? ToStatus(error) : absl::OkStatus());
                               });
  }

  void EndWrite() override {
    state_->stream.async_close(websocket::close_code::normal, [state = state_](boost::system::error_code) {});
  }

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace

void AcceptWebSocket(Transport transport, const UpgradeRequest& request, const std::string& protocol, MessageType type,
                     std::function<void(absl::StatusOr<std::unique_ptr<Wire>>)> done) {
  auto state = std::make_shared<State>(std::move(transport));
  state->request = request;
  // Times are the session's own matter.
  state->stream.set_option(websocket::stream_base::timeout{.handshake_timeout = websocket::stream_base::none(),
                                                           .idle_timeout = websocket::stream_base::none(),
                                                           .keep_alive_pings = false});
  state->stream.set_option(websocket::stream_base::decorator([protocol](websocket::response_type& response) {
    if (!protocol.empty()) response.set(boost::beast::http::field::sec_websocket_protocol, protocol);
  }));
  state->stream.read_message_max(kMaxMessage);
  state->stream.auto_fragment(false);
  type == MessageType::kBinary ? state->stream.binary(true) : state->stream.text(true);
  state->stream.async_accept(state->request, [state, done = std::move(done)](boost::system::error_code error) {
    if (error) return done(ToStatus(error));
    done(std::make_unique<Messages>(state));
  });
}

}  // namespace podvisor::cri
