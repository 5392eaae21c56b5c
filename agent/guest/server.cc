#include "agent/guest/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/guest/log.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxConnections = 64;
constexpr absl::string_view kUnreadySuffix = "~";

}  // namespace

Server::~Server() {
  for (const UniqueFd& listener : listeners_) loop_.Unwatch(listener.get());
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
}

absl::Status Server::ListenUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() + kUnreadySuffix.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", path, ": empty or longer than the kernel allows"));
  }
  // It gets its name when it listens: who finds it can connect.
  const std::string unready = absl::StrCat(path, kUnreadySuffix);
  unready.copy(address.sun_path, unready.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(unready.c_str());
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind ", path));
  }
  RETURN_IF_ERROR(Listen(std::move(fd)), path);
  if (::rename(unready.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, absl::StrCat("rename to ", path));
  unix_path_ = path;
  return absl::OkStatus();
}

absl::Status Server::ListenVsock(uint32_t port) {
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return absl::UnavailableError("the kernel has no AF_VSOCK");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("bind vsock port ", port));
  }
  return Listen(std::move(fd));
}

absl::Status Server::Listen(UniqueFd fd) {
  if (::listen(fd.get(), 16) != 0) return ErrnoStatus(errno, "listen");
  RETURN_IF_ERROR(loop_.Watch(fd.get(), EPOLLIN, [this, listener = fd.get()](uint32_t) { Accept(listener); }));
  listeners_.push_back(std::move(fd));
  return absl::OkStatus();
}

void Server::Accept(int listener) {
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.ok() || connections_.size() >= kMaxConnections) return;
  // The closing connection keeps itself alive until it has returned from here.
  auto key = std::make_shared<Connection*>(nullptr);
  auto on_close = [this, key] {
    std::erase_if(connections_, [&](const auto& connection) { return connection.get() == *key; });
  };
  auto connection =
      std::make_shared<Connection>(loop_, dispatcher_, std::move(fd), Connection::Kind::kSocket, std::move(on_close));
  *key = connection.get();
  if (const absl::Status status = connection->Start(); !status.ok()) return Log("connection: ", status.message());
  connections_.insert(std::move(connection));
}

absl::Status Server::ServePort(const std::string& device) {
  UniqueFd fd(::open(device.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", device));
  auto connection = std::make_shared<Connection>(loop_, dispatcher_, std::move(fd), Connection::Kind::kSerial, nullptr);
  RETURN_IF_ERROR(connection->Start(), device);
  connections_.insert(std::move(connection));
  return absl::OkStatus();
}

bool Server::idle() const {
  for (const auto& connection : connections_) {
    if (!connection->idle()) return false;
  }
  return true;
}

}  // namespace podvisor::guest
