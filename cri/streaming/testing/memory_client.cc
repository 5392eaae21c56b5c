#include "cri/streaming/testing/memory_client.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

namespace podvisor::cri {

using boost::system::error_code;

void MemoryClient::Handshake(std::function<void(error_code)> done) {
  boost::asio::post(context_, [done = std::move(done)] { done({}); });
}

void MemoryClient::ReadSome(boost::asio::mutable_buffer buffer, TransportHandler done) {
  error_code error;
  size_t size = std::min(buffer.size(), bytes_.size() - sent_);
  if (piece_size_ > 0) size = std::min(size, piece_size_);
  if (closed_) {
    error = boost::asio::error::operation_aborted;
    size = 0;
  } else if (size > 0) {
    std::memcpy(buffer.data(), bytes_.data() + sent_, size);
    sent_ += size;
  } else if (buffer.size() > 0) {
    error = boost::asio::error::eof;
    end_read_ = true;
  }
  boost::asio::post(context_, [done = std::move(done), error, size] { done(error, size); });
}

void MemoryClient::WriteSome(std::vector<boost::asio::const_buffer> buffers, TransportHandler done) {
  if (reads_ == Reads::kNever && !closed_) {
    waiting_.push_back(std::move(done));
    return;
  }
  const error_code error = closed_ ? boost::asio::error::operation_aborted : error_code();
  const size_t size = closed_ ? 0 : boost::asio::buffer_size(buffers);
  written_ += size;
  boost::asio::post(context_, [done = std::move(done), error, size] { done(error, size); });
}

void MemoryClient::EndWrite(std::function<void()> done) { boost::asio::post(context_, std::move(done)); }

void MemoryClient::Close() {
  closed_ = true;
  for (TransportHandler& done : std::exchange(waiting_, {}))
    boost::asio::post(context_, [done = std::move(done)] { done(boost::asio::error::operation_aborted, 0); });
}

}  // namespace podvisor::cri
