#include "agent/client/connection.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "base/unix_path.h"

namespace podvisor {
namespace {

using boost::system::error_code;

// "OK 1073741824\n"; Cloud Hypervisor and Firecracker write no more.
constexpr size_t kMaxGreetingBytes = 64;
// A guest that writes this much without echoing the preamble is not booting.
constexpr size_t kMaxIgnoredBytes = 16 << 20;
// Reads in a row before others get their turn.
constexpr int kReadsPerTurn = 4;
constexpr size_t kReadBytes = 64 << 10;

absl::Status ConnectUnix(const std::string& path, int fd) {
  ASSIGN_OR_RETURN(UnixPath short_path, UnixPath::For(path));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, short_path.name().data(), short_path.name().size());
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return ErrnoStatus(errno, absl::StrCat("connect ", path));
  return absl::OkStatus();
}

absl::Status ConnectVsock(const GuestChannel& channel, int fd) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = channel.cid;
  address.svm_port = channel.port;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 && errno != EINPROGRESS) {
    return ErrnoStatus(errno, absl::StrFormat("connect vsock %u:%u", channel.cid, channel.port));
  }
  return absl::OkStatus();
}

uint64_t RandomSession() {
  std::random_device random;
  return (static_cast<uint64_t>(random()) << 32) | random();
}

}  // namespace

std::shared_ptr<Connection> Connection::Make(boost::asio::io_context& context, const GuestChannel& channel,
                                             const Limits& limits, Owner* owner) {
  return std::shared_ptr<Connection>(new Connection(context, channel, limits, owner));
}

Connection::Connection(boost::asio::io_context& context, const GuestChannel& channel, const Limits& limits,
                       Owner* owner)
    : socket_(context),
      timer_(context),
      channel_(channel),
      limits_(limits),
      owner_(owner),
      last_heard_(std::chrono::steady_clock::now()) {}

void Connection::Open() {
  state_ = State::kConnecting;
  absl::Status connected = Connect();
  if (!connected.ok()) {
    boost::asio::post(socket_.get_executor(), [self = shared_from_this(), connected] { self->End(connected); });
    return;
  }
  // A Unix socket is connected by now; of a vsock, writability tells.
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this()](const error_code& error) {
                       if (!error && self->state_ == State::kConnecting) self->FinishConnect();
                     });
}

absl::Status Connection::Connect() {
  const bool vsock = channel_.kind == GuestChannel::Kind::kVsock;
  UniqueFd fd(::socket(vsock ? AF_VSOCK : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  RETURN_IF_ERROR(vsock ? ConnectVsock(channel_, fd.get()) : ConnectUnix(channel_.path, fd.get()));
  error_code error;
  socket_.assign(fd.get(), error);
  if (error) return absl::InternalError(absl::StrCat("watch socket: ", error.message()));
  (void)fd.release();
  return absl::OkStatus();
}

void Connection::FinishConnect() {
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    End(ErrnoStatus(error, absl::StrFormat("connect vsock %u:%u", channel_.cid, channel_.port)));
    return;
  }
  last_heard_ = std::chrono::steady_clock::now();
  state_ = State::kHandshake;
  StartHandshake();
  if (state_ != State::kEnded) AwaitReadable();
}

void Connection::StartHandshake() {
  switch (channel_.kind) {
    case GuestChannel::Kind::kUnix:
    case GuestChannel::Kind::kVsock:
      BecomeReady();
      return;
    case GuestChannel::Kind::kHybridVsock:
      out_ = absl::StrCat("CONNECT ", channel_.port, "\n");
      timer_.expires_after(absl::ToChronoNanoseconds(limits_.handshake_timeout));
      timer_.async_wait([self = shared_from_this()](const error_code& error) {
        if (error || self->state_ != State::kHandshake) return;
        self->End(absl::DeadlineExceededError(
            absl::StrCat(self->channel_.path, ": no answer to CONNECT ", self->channel_.port)));
      });
      Write();
      return;
    case GuestChannel::Kind::kSerial:
      link_.emplace(RandomSession());
      SendPreamble();
      return;
  }
}

void Connection::SendPreamble() {
  // Full: the guest has not read the last ones yet.
  if (idle()) {
    out_ = link_->Preamble();
    Write();
    if (state_ != State::kHandshake) return;
  }
  timer_.expires_after(std::chrono::milliseconds(kPreambleIntervalMs));
  timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error && self->state_ == State::kHandshake) self->SendPreamble();
  });
}

void Connection::BecomeReady() {
  timer_.cancel();
  state_ = State::kReady;
  owner_->OnReady();
}

void Connection::AwaitReadable() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const error_code& error) {
                       if (!error && self->state_ != State::kEnded) self->Read();
                     });
}

void Connection::Read() {
  // One buffer for all connections of the loop's thread: an idle one costs no memory. On the heap: every thread of the
  // process would pay for an array here, and those with small stacks could not start.
  static thread_local std::vector<char> buffer(kReadBytes);
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      End(ErrnoStatus(errno, absl::StrCat("read from agent at ", channel_.path)));
      return;
    }
    if (got == 0) {
      End(absl::UnavailableError(absl::StrCat("agent at ", channel_.path, " closed the connection",
                                              state_ == State::kReady ? "" : " during the handshake")));
      return;
    }
    last_heard_ = std::chrono::steady_clock::now();
    absl::Status taken = TakeBytes({buffer.data(), static_cast<size_t>(got)});
    if (state_ == State::kEnded) return;  // by a handler
    if (!taken.ok()) {
      End(Prefix(taken, absl::StrCat("agent at ", channel_.path)));
      return;
    }
    if (static_cast<size_t>(got) < buffer.size()) break;
  }
  AwaitReadable();
}

absl::Status Connection::TakeHandshake(absl::string_view bytes, std::string* rest) {
  if (link_) {
    RETURN_IF_ERROR(link_->Receive(bytes, rest));
    if (link_->synchronized()) {
      // A preamble may be half written still: then on_drained tells when frames may follow.
      BecomeReady();
    } else if ((ignored_bytes_ += bytes.size()) > kMaxIgnoredBytes) {
      return absl::UnavailableError("the guest floods its serial port without taking up the session");
    }
    return absl::OkStatus();
  }
  greeting_.append(bytes.data(), std::min(bytes.size(), kMaxGreetingBytes));
  const size_t end = greeting_.find('\n');
  if (end == std::string::npos && greeting_.size() < kMaxGreetingBytes) return absl::OkStatus();
  if (end == std::string::npos || !absl::StartsWith(greeting_, "OK ")) {
    return absl::UnavailableError(absl::StrCat("CONNECT ", channel_.port, " was refused"));
  }
  // The line ends in these bytes: it had not ended in those before.
  *rest = std::string(bytes.substr(bytes.find('\n') + 1));
  greeting_.clear();
  BecomeReady();
  return absl::OkStatus();
}

absl::Status Connection::TakeBytes(absl::string_view bytes) {
  std::string decoded;
  if (state_ == State::kHandshake) {
    RETURN_IF_ERROR(TakeHandshake(bytes, &decoded));
    if (state_ != State::kReady) return absl::OkStatus();
    bytes = decoded;
  } else if (link_) {
    RETURN_IF_ERROR(link_->Receive(bytes, &decoded));
    bytes = decoded;
  }
  std::vector<Frame> frames;
  absl::Status fed = decoder_.Feed(bytes, &frames);
  for (Frame& frame : frames) {
    owner_->OnFrame(std::move(frame));
    if (state_ == State::kEnded) return absl::OkStatus();
  }
  if (fed.ok() && decoder_.pending_bytes() > 0 && !watching_half_frame_) WatchHalfFrame();
  return fed;
}

void Connection::WatchHalfFrame() {
  const auto limit = absl::ToChronoNanoseconds(limits_.half_frame_timeout);
  watching_half_frame_ = true;
  timer_.expires_at(last_heard_ + limit);
  timer_.async_wait([self = shared_from_this(), limit](const error_code& error) {
    if (error || self->state_ == State::kEnded) return;
    self->watching_half_frame_ = false;
    if (self->decoder_.pending_bytes() == 0) return;
    if (std::chrono::steady_clock::now() - self->last_heard_ < limit) {
      self->WatchHalfFrame();
      return;
    }
    self->End(absl::UnavailableError(absl::StrCat("agent at ", self->channel_.path, " sent half a frame and no more")));
  });
}

void Connection::Send(absl::string_view frames) {
  if (link_) {
    link_->Send(frames, &out_);
  } else {
    out_ = std::string(frames);
  }
  Write();
}

void Connection::Write() {
  while (written_ < out_.size()) {
    const ssize_t sent =
        ::send(socket_.native_handle(), out_.data() + written_, out_.size() - written_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      written_ += static_cast<size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      socket_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](const error_code& error) {
                           if (error || self->state_ == State::kEnded) return;
                           self->Write();
                           if (self->state_ == State::kReady && self->idle()) self->owner_->OnDrained();
                         });
      return;
    }
    // Not from inside Send(): its caller is not prepared for the end.
    boost::asio::post(
        socket_.get_executor(),
        [self = shared_from_this(), why = ErrnoStatus(errno, absl::StrCat("write to agent at ", channel_.path))] {
          self->End(why);
        });
    return;
  }
  out_ = std::string();  // gives the memory back
  written_ = 0;
}

void Connection::End(absl::Status why) {
  if (state_ == State::kEnded) return;
  Owner* owner = owner_;
  Close();
  owner->OnEnd(std::move(why));
}

void Connection::Close() {
  state_ = State::kEnded;
  owner_ = nullptr;
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace podvisor
