#include "vmm/qemu/fake_qmp.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vmm/qemu/unix_socket.h"

namespace podvisor {
namespace {

// What stands in the file of a descriptor that came with a message.
std::string PassedFile(msghdr& message) {
  std::string content;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int number = -1;
    ::memcpy(&number, CMSG_DATA(header), sizeof number);
    const UniqueFd fd(number);
    char buffer[256];
    const ssize_t count = ::pread(fd.get(), buffer, sizeof buffer, 0);
    if (count > 0) content.assign(buffer, static_cast<size_t>(count));
  }
  return content;
}

}  // namespace

std::string FakeQmp::Return(const nlohmann::json& command, nlohmann::json result) {
  return nlohmann::json({{"return", std::move(result)}, {"id", command.at("id")}}).dump() + "\r\n";
}

FakeQmp::FakeQmp(const std::string& socket_path, Handler handler, std::string greeting)
    : handler_(std::move(handler)), greeting_(std::move(greeting)) {
  absl::StatusOr<UniqueFd> listening = ListenUnix(socket_path);
  int ends[2];
  if (!listening.ok() || ::pipe2(ends, O_CLOEXEC) != 0) ::abort();
  listening_ = *std::move(listening);
  stop_read_.reset(ends[0]);
  stop_write_.reset(ends[1]);
  thread_ = std::thread([this] { Serve(); });
}

FakeQmp::~FakeQmp() {
  stop_write_.reset();
  thread_.join();
}

void FakeQmp::Send(const std::string& bytes) {
  absl::MutexLock lock(&mu_);
  for (size_t sent = 0; sent < bytes.size() && connection_.ok();) {
    const ssize_t count = ::send(connection_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<size_t>(count);
  }
}

void FakeQmp::HangUp() {
  absl::MutexLock lock(&mu_);
  if (connection_.ok()) ::shutdown(connection_.get(), SHUT_RDWR);
}

void FakeQmp::Serve() {
  for (;;) {
    pollfd fds[2] = {{listening_.get(), POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 || fds[1].revents != 0) return;
    const int fd = ::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    {
      absl::MutexLock lock(&mu_);
      connection_.reset(fd);
    }
    Send(greeting_);
    Talk(fd);
    absl::MutexLock lock(&mu_);
    connection_.reset();
  }
}

void FakeQmp::Talk(int fd) {
  std::string buffer;
  for (;;) {
    pollfd fds[2] = {{fd, POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 || fds[1].revents != 0) return;
    char bytes[4096];
    alignas(cmsghdr) char control[256];
    iovec data = {bytes, sizeof bytes};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t count = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (count <= 0) return;
    Received(std::string(bytes, static_cast<size_t>(count)), PassedFile(message), buffer);
  }
}

void FakeQmp::Received(const std::string& bytes, const std::string& passed_file, std::string& buffer) {
  buffer += bytes;
  for (size_t end; (end = buffer.find('\n')) != std::string::npos; buffer.erase(0, end + 1)) {
    const auto command = nlohmann::json::parse(buffer.substr(0, end));
    const bool negotiation = command.at("execute") == "qmp_capabilities" && greeting_ == kGreeting;
    Send(negotiation ? Return(command, nlohmann::json::object()) : handler_(command, passed_file));
  }
}

}  // namespace podvisor
