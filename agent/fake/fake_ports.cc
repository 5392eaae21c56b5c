#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/fake/fake_guest.h"

namespace podvisor {
namespace {

constexpr size_t kMaxPorts = 256;
constexpr uint32_t kMaxBytes = 1 << 20;
constexpr uint32_t kDefaultBytes = 64 << 10;
constexpr size_t kBufferBytes = 4 << 20;  // what a kernel would hold for a client that does not read
constexpr uint32_t kNobodyListens = 1;

absl::Status NoPort(uint64_t id) { return absl::NotFoundError(absl::StrCat("no connection has the id ", id)); }

}  // namespace

absl::StatusOr<agent::v1::DialPortResponse> FakeGuest::DialPort(const agent::v1::DialPortRequest& request) {
  if (request.port() == 0 || request.port() > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("port ", request.port(), " is not 1 to 65535"));
  }
  if (request.port() == kNobodyListens) {
    return absl::UnavailableError(absl::StrCat("dial tcp 127.0.0.1:", request.port(), ": connect: Connection refused"));
  }
  if (ports_.size() >= kMaxPorts) return absl::ResourceExhaustedError("too many connections to ports");
  agent::v1::DialPortResponse response;
  response.set_id(++last_port_);
  ports_[response.id()];
  return response;
}

void FakeGuest::Serve(Port& port) {
  if (!port.reader || (port.data.empty() && !port.ended)) return;
  agent::v1::ReadPortResponse response;
  response.set_data(port.data.substr(0, port.read_max));
  port.data.erase(0, response.data().size());
  response.set_eof(response.data().empty());
  if (port.timer != nullptr) port.timer->cancel();
  std::exchange(port.reader, nullptr)(response);
}

void FakeGuest::ReadPort(const agent::v1::ReadPortRequest& request, Answer<agent::v1::ReadPortResponse> answer) {
  const auto found = ports_.find(request.id());
  if (found == ports_.end()) return answer(NoPort(request.id()));
  Port& port = found->second;
  if (port.reader) return answer(absl::FailedPreconditionError("another ReadPort waits on this connection"));
  port.reader = std::move(answer);
  port.read_max = request.max_bytes() == 0 ? kDefaultBytes : std::min(request.max_bytes(), kMaxBytes);
  Serve(port);
  if (!port.reader) return;
  port.timer = std::make_unique<boost::asio::steady_timer>(context_, std::chrono::milliseconds(request.wait_ms()));
  port.timer->async_wait([this, id = request.id()](const boost::system::error_code& error) {
    const auto waiting = ports_.find(id);
    if (error || waiting == ports_.end() || !waiting->second.reader) return;
    std::exchange(waiting->second.reader, nullptr)(agent::v1::ReadPortResponse());
  });
}

absl::Status FakeGuest::WritePort(const agent::v1::WritePortRequest& request) {
  const auto found = ports_.find(request.id());
  if (found == ports_.end()) return NoPort(request.id());
  Port& port = found->second;
  if (request.data().size() > kMaxBytes) return absl::InvalidArgumentError("more than 1 MiB");
  if (port.ended) return absl::FailedPreconditionError("the connection's input has been ended");
  if (port.data.size() > kBufferBytes) return absl::ResourceExhaustedError("the fake's buffer is full: read first");
  port.data += request.data();
  port.ended = request.eof();
  Serve(port);
  return absl::OkStatus();
}

absl::Status FakeGuest::ClosePort(const agent::v1::ClosePortRequest& request) {
  auto node = ports_.extract(request.id());
  if (!node.empty() && node.mapped().reader) {
    node.mapped().reader(absl::CancelledError("the connection has been closed"));
  }
  return absl::OkStatus();
}

}  // namespace podvisor
