#include "vmm/qemu/console_reader.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "spdlog/spdlog.h"
#include "vmm/qemu/console_log.h"
#include "vmm/qemu/unix_socket.h"

namespace podvisor {
namespace {

// Of one read, then a pause: what bounds the work that a guest can make here.
constexpr size_t kChunk = 16 << 10;
constexpr std::chrono::milliseconds kPauseAfterFullChunk{50};
constexpr size_t kMaxDrain = 1 << 20;

}  // namespace

// Lives in the event loop's thread.
class ConsoleReader::Session : public std::enable_shared_from_this<ConsoleReader::Session> {
 public:
  Session(EventLoop& loop, std::string log_path)
      : loop_(loop), socket_(loop.context()), timer_(loop.context()), log_(std::move(log_path)) {}

  void Start(UniqueFd fd) {
    boost::asio::post(loop_.context(), [self = shared_from_this(), fd = std::make_shared<UniqueFd>(std::move(fd))] {
      boost::system::error_code error;
      self->socket_.assign(boost::asio::local::stream_protocol(), fd->release(), error);
      if (!error) self->Read();
    });
  }

  void Stop() {
    boost::asio::post(loop_.context(), [self = shared_from_this()] { self->Close(); });
  }

  void Drain() {
    for (size_t total = 0; socket_.is_open() && total < kMaxDrain;) {
      const ssize_t count = Take();
      if (count <= 0) break;
      total += static_cast<size_t>(count);
    }
    Close();
  }

 private:
  void Close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    timer_.cancel(ignored);
  }

  // Waits for output and reads it in the handler: an asynchronous read could have taken bytes that Drain, running
  // before that read's handler, would then overwrite.
  void Read() {
    socket_.async_wait(boost::asio::socket_base::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (error || !self->socket_.is_open()) return;
                         const ssize_t count = self->Take();
                         if (count > 0) return self->ReadOn(static_cast<size_t>(count));
                         if (count < 0 && (errno == EAGAIN || errno == EINTR)) self->Read();
                       });
  }

  ssize_t Take() {
    const ssize_t count = ::recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (count > 0) Keep(static_cast<size_t>(count));
    return count;
  }

  void ReadOn(size_t count) {
    if (count < buffer_.size()) return Read();
    timer_.expires_after(kPauseAfterFullChunk);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && self->socket_.is_open()) self->Read();
    });
  }

  void Keep(size_t count) {
    const absl::Status kept = log_.Append(absl::string_view(buffer_.data(), count));
    // Reading goes on, so that the guest does; said once.
    if (!kept.ok() && !std::exchange(failed_, true))
      spdlog::warn("console log {}: {}", log_.path(), std::string(kept.message()));
  }

  EventLoop& loop_;
  boost::asio::local::stream_protocol::socket socket_;
  boost::asio::steady_timer timer_;
  ConsoleLog log_;
  std::array<char, kChunk> buffer_;
  bool failed_ = false;
};

absl::StatusOr<std::unique_ptr<ConsoleReader>> ConsoleReader::Start(EventLoop& loop, const std::string& socket_path,
                                                                    const std::string& log_path) {
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(socket_path));
  auto session = std::make_shared<Session>(loop, log_path);
  session->Start(std::move(fd));
  return std::unique_ptr<ConsoleReader>(new ConsoleReader(std::move(session)));
}

ConsoleReader::~ConsoleReader() { session_->Stop(); }

void ConsoleReader::Drain() { session_->Drain(); }

}  // namespace podvisor
