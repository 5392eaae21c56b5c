#include "agent/guest/launch/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace podvisor::guest {
namespace {

constexpr char kReady = 'R';
constexpr char kFailed = 'E';
constexpr char kStart = 'S';
constexpr size_t kMaxMessage = 4096;

}  // namespace

ControlMessage ReceiveControl(int fd) {
  char buffer[kMaxMessage];
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
  iovec io{.iov_base = buffer, .iov_len = sizeof(buffer)};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  header.msg_control = ancillary;
  header.msg_controllen = sizeof(ancillary);
  ssize_t got;
  do {
    got = ::recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  ControlMessage message;
  if (got < 0 && errno == EAGAIN) return message;
  if (got <= 0) {
    message.kind = ControlMessage::Kind::kExecuted;
  } else if (buffer[0] == kReady) {
    message.kind = ControlMessage::Kind::kReady;
    const cmsghdr* part = CMSG_FIRSTHDR(&header);
    if (part != nullptr && part->cmsg_type == SCM_RIGHTS) {
      int received;
      ::memcpy(&received, CMSG_DATA(part), sizeof(received));
      message.terminal.reset(received);
    }
  } else {
    message.kind = ControlMessage::Kind::kFailed;
    const auto code = got > 1 ? static_cast<absl::StatusCode>(buffer[1]) : absl::StatusCode::kInternal;
    message.error = absl::Status(code, got > 2 ? absl::string_view(buffer + 2, static_cast<size_t>(got) - 2) : "");
  }
  return message;
}

bool SendStart(int fd) { return ::send(fd, &kStart, 1, MSG_NOSIGNAL) == 1; }

void SendReady(int fd, int terminal_fd) {
  char byte = kReady;
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {};
  iovec io{.iov_base = &byte, .iov_len = 1};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  if (terminal_fd >= 0) {
    header.msg_control = ancillary;
    header.msg_controllen = sizeof(ancillary);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    ::memcpy(CMSG_DATA(part), &terminal_fd, sizeof(terminal_fd));
  }
  (void)!::sendmsg(fd, &header, MSG_NOSIGNAL);
}

void SendFailure(int fd, const absl::Status& status) {
  std::string message{kFailed, static_cast<char>(status.code())};
  message.append(status.message().data(), std::min(status.message().size(), kMaxMessage - 2));
  (void)!::send(fd, message.data(), message.size(), MSG_NOSIGNAL);
}

bool AwaitStart(int fd) {
  char byte = 0;
  ssize_t got;
  do {
    got = ::recv(fd, &byte, 1, 0);
  } while (got < 0 && errno == EINTR);
  return got == 1 && byte == kStart;
}

}  // namespace podvisor::guest
