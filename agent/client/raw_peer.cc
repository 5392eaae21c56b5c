#include "agent/client/raw_peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/status_macros.h"
#include "base/unix_path.h"

namespace podvisor {
namespace {

constexpr int kPatienceMs = 60000;

absl::Status AwaitReadable(int fd) {
  pollfd entry = {.fd = fd, .events = POLLIN, .revents = 0};
  int ready;
  do ready = ::poll(&entry, 1, kPatienceMs);
  while (ready < 0 && errno == EINTR);  // a fuzzer has an alarm
  if (ready < 0) return ErrnoStatus(errno, "poll");
  return ready == 0 ? absl::DeadlineExceededError("the client says nothing") : absl::OkStatus();
}

}  // namespace

RawPeer::RawPeer(const std::string& path) : path_(path) {
  auto short_path = UnixPath::For(path);
  if (!short_path.ok()) return;
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, short_path->name().data(), short_path->name().size());
  ::unlink(path.c_str());
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 4) != 0) {
    listener_.reset();
  }
}

RawPeer::~RawPeer() { StopListening(); }

void RawPeer::StopListening() {
  listener_.reset();
  ::unlink(path_.c_str());
}

absl::Status RawPeer::Accept() {
  connection_.reset();
  decoder_.Reset();
  frames_.clear();
  RETURN_IF_ERROR(AwaitReadable(listener_.get()), "accept");
  connection_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return connection_.ok() ? absl::OkStatus() : ErrnoStatus(errno, "accept");
}

absl::Status RawPeer::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return ErrnoStatus(errno, "send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

void RawPeer::EndWrite() { ::shutdown(connection_.get(), SHUT_WR); }

absl::StatusOr<std::string> RawPeer::ReadSome() {
  RETURN_IF_ERROR(AwaitReadable(connection_.get()));
  char buffer[16384];
  const ssize_t got = ::recv(connection_.get(), buffer, sizeof(buffer), 0);
  if (got <= 0) return absl::UnavailableError("the client has closed the connection");
  return std::string(buffer, static_cast<size_t>(got));
}

absl::StatusOr<std::string> RawPeer::ReadLine() {
  std::string line;
  char next = 0;
  while (next != '\n') {
    RETURN_IF_ERROR(AwaitReadable(connection_.get()));
    if (::recv(connection_.get(), &next, 1, 0) != 1) return absl::UnavailableError("the client has closed");
    line.push_back(next);
  }
  return line;
}

absl::StatusOr<Frame> RawPeer::ReadFrame() {
  while (frames_.empty()) {
    ASSIGN_OR_RETURN(std::string bytes, ReadSome());
    RETURN_IF_ERROR(decoder_.Feed(bytes, &frames_));
  }
  Frame frame = std::move(frames_.front());
  frames_.erase(frames_.begin());
  return frame;
}

absl::Status RawPeer::AwaitClose() {
  while (true) {
    absl::StatusOr<std::string> bytes = ReadSome();
    if (absl::IsUnavailable(bytes.status())) return absl::OkStatus();
    if (!bytes.ok()) return bytes.status();
  }
}

std::string RawPeer::Answer(uint32_t stream_id, const std::string& payload) {
  ttrpc::Response response;
  response.set_payload(payload);
  std::string bytes;
  EncodeFrame({.stream_id = stream_id, .type = FrameType::kResponse, .payload = response.SerializeAsString()}, &bytes)
      .IgnoreError();
  return bytes;
}

ttrpc::Request RequestIn(const Frame& frame) {
  ttrpc::Request request;
  request.ParseFromString(frame.payload);
  return request;
}

}  // namespace podvisor
