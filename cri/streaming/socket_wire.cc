#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <utility>
#include <vector>

#include "cri/streaming/wire.h"

namespace podvisor::cri {
namespace {

constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kMostReadBytes = 128 << 10;  // where much comes: each turn of the loop costs the same

// The buffers belong to the calls under way: the wire may go before they end.
struct State {
  explicit State(Transport transport_in) : transport(std::move(transport_in)) {}
  Transport transport;
  std::vector<char> read_buffer = std::vector<char>(kReadBytes);
  std::string write_buffer;
  bool gone = false;
};

class Bytes final : public Wire {
 public:
  explicit Bytes(Transport transport) : state_(std::make_shared<State>(std::move(transport))) {}

  ~Bytes() override {
    state_->gone = true;
    state_->transport.connection().Close();
  }

  void Read(std::function<void(absl::StatusOr<std::string>)> done) override {
    state_->transport.async_read_some(
        boost::asio::buffer(state_->read_buffer),
        [state = state_, done = std::move(done)](boost::system::error_code error, size_t size) {
          if (state->gone) return;
          if (error == boost::asio::error::eof) return done(absl::OutOfRangeError("the client has ended"));
          if (error) return done(absl::UnavailableError(error.message()));
          std::string data(state->read_buffer.data(), size);
          const size_t next = size == state->read_buffer.size() ? kMostReadBytes : kReadBytes;
          if (size < kReadBytes || next > state->read_buffer.size()) state->read_buffer = std::vector<char>(next);
          done(std::move(data));
        });
  }

  void Write(std::string data, std::function<void(absl::Status)> done) override {
    state_->write_buffer = std::move(data);
    boost::asio::async_write(state_->transport, boost::asio::buffer(state_->write_buffer),
                             [state = state_, done = std::move(done)](boost::system::error_code error, size_t) {
                               if (state->gone) return;
                               done(error ? absl::UnavailableError(error.message()) : absl::OkStatus());
                             });
  }

  void EndWrite() override {
    state_->transport.connection().EndWrite([state = state_] {});
  }

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace

std::unique_ptr<Wire> SocketWire(Transport transport) { return std::make_unique<Bytes>(std::move(transport)); }

}  // namespace podvisor::cri
