#include "agent/fake/ttrpc_server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/ttrpc_frame.h"
#include "base/unique_fd.h"
#include "base/unix_path.h"

namespace podvisor {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

// A peer that reads no answers is read from no more.
constexpr size_t kMaxUnsentBytes = 8 << 20;

}  // namespace

class TtrpcServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(TtrpcServer& server, boost::asio::io_context& context, UniqueFd fd)
      : server_(&server), socket_(context, fd.release()) {}

  void AwaitReadable() {
    if (reading_ || server_ == nullptr || server_->frozen_ || out_.size() > kMaxUnsentBytes) return;
    reading_ = true;
    socket_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
      self->reading_ = false;
      if (!error && self->server_ != nullptr && !self->server_->frozen_) self->Read();
    });
  }

  void Close() {
    server_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  void Read() {
    static thread_local std::vector<char> buffer(64 << 10);
    const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return AwaitReadable();
    if (got <= 0) return End();
    std::vector<Frame> frames;
    if (!decoder_.Feed({buffer.data(), static_cast<size_t>(got)}, &frames).ok()) return End();
    for (const Frame& frame : frames) {
      ttrpc::Request request;
      if (frame.type != FrameType::kRequest || frame.stream_id % 2 == 0 || !request.ParseFromString(frame.payload)) {
        return End();
      }
      server_->handler_(std::move(request),
                        [weak = weak_from_this(), id = frame.stream_id](absl::StatusOr<std::string> response) {
                          if (auto self = weak.lock(); self != nullptr) self->Answer(id, std::move(response));
                        });
      if (server_ == nullptr) return;  // the handler has dropped us
    }
    AwaitReadable();
  }

  void Answer(uint32_t stream_id, absl::StatusOr<std::string> response) {
    if (server_ == nullptr) return;
    ttrpc::Response envelope;
    envelope.mutable_status()->set_code(static_cast<int>(response.status().code()));
    envelope.mutable_status()->set_message(std::string(response.status().message()));
    if (response.ok()) envelope.set_payload(*std::move(response));
    Frame frame{.stream_id = stream_id, .type = FrameType::kResponse, .payload = {}};
    envelope.SerializeToString(&frame.payload);
    const bool writing = !out_.empty();
    EncodeFrame(frame, &out_).IgnoreError();
    if (!writing) Write();
  }

  void Write() {
    size_t written = 0;
    bool full = false;
    while (written < out_.size()) {
      const ssize_t sent =
          ::send(socket_.native_handle(), out_.data() + written, out_.size() - written, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      full = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
      if (sent < 0) break;
      written += static_cast<size_t>(sent);
    }
    out_.erase(0, written);
    if (out_.empty()) {
      out_ = std::string();
    } else if (full) {
      socket_.async_wait(stream_descriptor::wait_write, [self = shared_from_this()](const error_code& error) {
        if (error || self->server_ == nullptr) return;
        self->Write();
        self->AwaitReadable();
      });
    }  // else the peer has gone: reading tells
  }

  void End() {
    TtrpcServer* server = server_;
    Close();
    server->Forget(this);
  }

  TtrpcServer* server_;  // nullptr: closed
  stream_descriptor socket_;
  bool reading_ = false;
  FrameDecoder decoder_;
  std::string out_;
};

absl::StatusOr<std::unique_ptr<TtrpcServer>> TtrpcServer::Listen(EventLoop& loop, const std::string& path,
                                                                 Handler handler) {
  ASSIGN_OR_RETURN(UnixPath short_path, UnixPath::For(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, short_path.name().data(), short_path.name().size());
  ::unlink(short_path.name().c_str());
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind ", path));
  }
  if (::listen(fd.get(), 64) != 0) return ErrnoStatus(errno, absl::StrCat("listen on ", path));
  std::unique_ptr<TtrpcServer> server(new TtrpcServer(loop, std::move(handler)));
  error_code error;
  server->listener_.assign(fd.get(), error);
  if (error) return absl::InternalError(absl::StrCat("watch ", path, ": ", error.message()));
  (void)fd.release();
  return server;
}

TtrpcServer::~TtrpcServer() {
  *alive_ = false;
  DropConnections();
}

void TtrpcServer::Accept() {
  listener_.async_wait(stream_descriptor::wait_read, [this, alive = alive_](const error_code& error) {
    if (error || !*alive) return;
    while (true) {
      UniqueFd fd(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.ok()) break;
      connections_.push_back(std::make_shared<Connection>(*this, loop_.context(), std::move(fd)));
      connections_.back()->AwaitReadable();
    }
    Accept();
  });
}

void TtrpcServer::Thaw() {
  frozen_ = false;
  for (const auto& connection : connections_) connection->AwaitReadable();
}

void TtrpcServer::DropConnections() {
  for (const auto& connection : std::exchange(connections_, {})) connection->Close();
}

void TtrpcServer::Forget(const Connection* connection) {
  std::erase_if(connections_, [connection](const auto& one) { return one.get() == connection; });
}

}  // namespace podvisor
