#include "agent/guest/services/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

namespace v1 = podvisor::agent::v1;

constexpr size_t kMaxPorts = 256;
constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kDefaultBytes = 64 << 10;
// A listener whose queue is full does not answer at all.
constexpr int64_t kDialMs = 10'000;

int StartConnect(int fd, bool v6, uint16_t port) {
  sockaddr_in v4_address{};
  v4_address.sin_family = AF_INET;
  v4_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4_address.sin_port = htons(port);
  sockaddr_in6 v6_address{};
  v6_address.sin6_family = AF_INET6;
  v6_address.sin6_addr = in6addr_loopback;
  v6_address.sin6_port = htons(port);
  const auto* address = v6 ? reinterpret_cast<const sockaddr*>(&v6_address) : reinterpret_cast<sockaddr*>(&v4_address);
  return ::connect(fd, address, v6 ? sizeof(v6_address) : sizeof(v4_address)) == 0 ? 0 : errno;
}

// In the words of Go's net package, which users of port-forward know.
absl::Status DialError(bool v6, uint16_t port, int error) {
  return absl::UnavailableError(
      absl::StrCat("dial tcp ", v6 ? "[::1]:" : "127.0.0.1:", port, ": connect: ", ::strerror(error)));
}

}  // namespace

absl::StatusOr<Ports::PortPtr> Ports::Find(uint64_t id) const {
  const auto found = ports_.find(id);
  if (found == ports_.end() || found->second->dialer != nullptr) {
    return absl::NotFoundError(absl::StrCat("no connection has the id ", id));
  }
  return found->second;
}

void Ports::Dial(const v1::DialPortRequest& request, CallPtr call) {
  if (request.port() == 0 || request.port() > 65535) {
    return call->Fail(absl::InvalidArgumentError(absl::StrCat("port ", request.port(), " is not 1 to 65535")));
  }
  if (ports_.size() >= kMaxPorts) {
    return call->Fail(absl::ResourceExhaustedError(absl::StrCat(kMaxPorts, " connections to ports are open already")));
  }
  auto port = std::make_shared<Port>();
  port->id = ++last_id_;
  port->number = static_cast<uint16_t>(request.port());
  port->owner = call->owner();
  port->dialer = std::move(call);
  ports_[port->id] = port;
  port->timer = loop_.After(kDialMs, [this, port] { FinishDial(port, ETIMEDOUT); });
  Connect(port);
}

void Ports::Connect(const PortPtr& port) {
  port->fd.reset(::socket(port->on_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int error = port->fd.ok() ? StartConnect(port->fd.get(), port->on_v6, port->number) : errno;
  if (error == EINPROGRESS) return UpdateInterest(port);
  FinishDial(port, error);
}

void Ports::FinishDial(const PortPtr& port, int error) {
  if (error == ECONNREFUSED && !port->on_v6) {
    port->v4_error = DialError(false, port->number, error);
    Shut(*port, absl::OkStatus());
    port->on_v6 = true;
    return Connect(port);
  }
  loop_.Cancel(port->timer);
  const CallPtr dialer = std::exchange(port->dialer, nullptr);
  if (dialer == nullptr) return;
  if (error != 0) {
    // Where nobody listens on either, the first address is the one that users think of.
    dialer->Fail(port->v4_error.ok() ? DialError(port->on_v6, port->number, error) : port->v4_error);
    return Close(port->id);
  }
  const int on = 1;
  ::setsockopt(port->fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  UpdateInterest(port);
  v1::DialPortResponse response;
  response.set_id(port->id);
  dialer->Reply(response);
}

void Ports::Read(const v1::ReadPortRequest& request, CallPtr call) {
  const absl::StatusOr<PortPtr> found = Find(request.id());
  if (!found.ok()) return call->Fail(found.status());
  const PortPtr& port = *found;
  if (port->reader != nullptr && port->reader->IsAlive()) {
    return call->Fail(absl::FailedPreconditionError("another ReadPort waits on this connection"));
  }
  loop_.Cancel(port->timer);
  port->reader = std::move(call);
  port->read_max = request.max_bytes() == 0 ? kDefaultBytes : std::min<size_t>(request.max_bytes(), kMaxBytes);
  if (!TryRead(*port)) {
    port->timer = loop_.After(request.wait_ms(), [this, port] {
      if (const CallPtr reader = std::exchange(port->reader, nullptr)) reader->Reply(v1::ReadPortResponse());
      UpdateInterest(port);
    });
  }
  UpdateInterest(port);
}

bool Ports::TryRead(Port& port) {
  int waiting = 0;
  if (port.error.ok()) ::ioctl(port.fd.get(), FIONREAD, &waiting);
  const size_t wanted = std::clamp<size_t>(static_cast<size_t>(std::max(waiting, 1)), 1, port.read_max);
  const auto data = std::make_unique_for_overwrite<char[]>(wanted);
  ssize_t got = -1;
  if (port.error.ok()) {
    do {
      got = ::recv(port.fd.get(), data.get(), wanted, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) return false;
    if (got < 0) port.error = absl::AbortedError(absl::StrCat("read tcp: ", ::strerror(errno)));
  }
  loop_.Cancel(port.timer);
  const CallPtr reader = std::exchange(port.reader, nullptr);
  if (!port.error.ok()) {
    reader->Fail(port.error);
    return true;
  }
  v1::ReadPortResponse response;
  response.set_eof(got == 0);
  reader->ReplyWithBytes(response, v1::ReadPortResponse::kDataFieldNumber,
                         absl::string_view(data.get(), static_cast<size_t>(got)));
  return true;
}

void Ports::Write(v1::WritePortRequest&& request, CallPtr call) {
  const absl::StatusOr<PortPtr> found = Find(request.id());
  if (!found.ok()) return call->Fail(found.status());
  const PortPtr& port = *found;
  if (request.data().size() > kMaxBytes) {
    return call->Fail(absl::InvalidArgumentError(absl::StrCat(request.data().size(), " bytes: at most ", kMaxBytes)));
  }
  if (port->writer != nullptr || port->write_ended) {
    return call->Fail(absl::FailedPreconditionError(port->write_ended ? "the connection's input has been ended"
                                                                      : "another WritePort waits on this connection"));
  }
  port->writer = std::move(call);
  port->data = std::move(*request.mutable_data());
  port->written = 0;
  port->end_after_data = request.eof();
  TryWrite(*port);
  UpdateInterest(port);
}

bool Ports::TryWrite(Port& port) {
  while (port.error.ok() && port.written < port.data.size()) {
    const ssize_t put =
        ::send(port.fd.get(), port.data.data() + port.written, port.data.size() - port.written, MSG_NOSIGNAL);
    if (put < 0 && errno == EAGAIN) return false;
    if (put < 0 && errno != EINTR) port.error = absl::AbortedError(absl::StrCat("write tcp: ", ::strerror(errno)));
    if (put > 0) port.written += static_cast<size_t>(put);
  }
  if (port.error.ok() && port.end_after_data) {
    ::shutdown(port.fd.get(), SHUT_WR);
    port.write_ended = true;
  }
  port.data = std::string();
  std::exchange(port.writer, nullptr)->Finish(port.error);
  return true;
}

void Ports::OnEvents(const PortPtr& port, uint32_t events) {
  if (port->dialer != nullptr) {
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(port->fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return FinishDial(port, error);
  }
  constexpr uint32_t kEnds = EPOLLERR | EPOLLHUP;
  if (port->reader != nullptr && (events & (EPOLLIN | kEnds)) != 0) TryRead(*port);
  if (port->writer != nullptr && (events & (EPOLLOUT | kEnds)) != 0) TryWrite(*port);
  UpdateInterest(port);
}

void Ports::UpdateInterest(const PortPtr& port) {
  if (!port->fd.ok()) return;
  const bool writes = port->dialer != nullptr || port->writer != nullptr;
  const uint32_t wanted = (port->reader != nullptr ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u);
  if (wanted == port->interest) return;
  const uint32_t before = std::exchange(port->interest, wanted);
  // Not watched at all while nobody waits: a hang-up would be told again and again.
  if (wanted == 0) return loop_.Unwatch(port->fd.get());
  if (before != 0) return loop_.Modify(port->fd.get(), wanted);
  const absl::Status status =
      loop_.Watch(port->fd.get(), wanted, [this, port](uint32_t events) { OnEvents(port, events); });
  if (!status.ok()) Shut(*port, status);
}

void Ports::Shut(Port& port, const absl::Status& status) {
  if (port.interest != 0) loop_.Unwatch(port.fd.get());
  port.interest = 0;
  port.fd.reset();
  if (status.ok()) return;
  loop_.Cancel(port.timer);
  for (CallPtr* call : {&port.dialer, &port.reader, &port.writer}) {
    if (const CallPtr waiting = std::exchange(*call, nullptr)) waiting->Fail(status);
  }
}

void Ports::Close(uint64_t id) {
  const auto found = ports_.find(id);
  if (found == ports_.end()) return;
  const PortPtr port = found->second;
  ports_.erase(found);
  Shut(*port, absl::CancelledError("the connection has been closed"));
}

void Ports::Sweep() {
  for (auto it = ports_.begin(); it != ports_.end();) {
    const PortPtr port = (it++)->second;
    if (!port->owner.IsOpen()) Close(port->id);
  }
}

void Ports::CloseAll() {
  while (!ports_.empty()) Close(ports_.begin()->first);
}

}  // namespace podvisor::guest
