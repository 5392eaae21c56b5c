// A client in memory: what it sends is known beforehand, and there is neither socket nor thread.
#ifndef PODVISOR_CRI_STREAMING_TESTING_MEMORY_CLIENT_H_
#define PODVISOR_CRI_STREAMING_TESTING_MEMORY_CLIENT_H_

#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cri/streaming/transport.h"

namespace podvisor::cri {

// Sends `bytes` in pieces of `piece_size` (0: as large as they are read), then ends. What the server writes is counted
// and dropped, or with kNever not taken at all. In the thread that runs `context`.
class MemoryClient final : public TransportConnection {
 public:
  enum class Reads { kAlways, kNever };
  MemoryClient(boost::asio::io_context& context, std::string bytes, size_t piece_size, Reads reads)
      : context_(context), bytes_(std::move(bytes)), piece_size_(piece_size), reads_(reads) {}

  void Handshake(std::function<void(boost::system::error_code)> done) override;
  void ReadSome(boost::asio::mutable_buffer buffer, TransportHandler done) override;
  void WriteSome(std::vector<boost::asio::const_buffer> buffers, TransportHandler done) override;
  void EndWrite(std::function<void()> done) override;
  void Close() override;

  bool closed() const { return closed_; }
  // The server has read everything, the end included.
  bool all_read() const { return end_read_; }
  size_t written() const { return written_; }

 private:
  boost::asio::io_context& context_;
  const std::string bytes_;
  const size_t piece_size_;
  const Reads reads_;
  size_t sent_ = 0, written_ = 0;
  bool end_read_ = false, closed_ = false;
  std::vector<TransportHandler> waiting_;  // for a client that does not read: told at Close()
};

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_TESTING_MEMORY_CLIENT_H_
