#include "daemon/metrics_server.h"

#include <CivetServer.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <prometheus/exposer.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cstring>
#include <exception>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

struct HostAndPort {
  std::string host;  // an address, IPv6 without brackets
  uint16_t port = 0;
};

absl::StatusOr<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be ADDRESS:PORT such as 127.0.0.1:9745, not \"", address, "\""));
  }
  absl::string_view host = absl::string_view(address).substr(0, colon);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  unsigned char buffer[sizeof(in6_addr)];
  if (::inet_pton(bracketed ? AF_INET6 : AF_INET, std::string(host).c_str(), buffer) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("must have an IP address before the port (IPv6 in brackets), not \"", host, "\""));
  }
  return HostAndPort{.host = std::string(host), .port = static_cast<uint16_t>(port)};
}

// Binds once to learn what is wrong: the HTTP library only says that something is.
absl::Status TryBind(const HostAndPort& address) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (address.host.find(':') != std::string::npos) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr);
    length = sizeof(*v6);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr);
    length = sizeof(*v4);
  }
  const UniqueFd probe(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.ok()) return ErrnoStatus(errno, "socket");
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) return ErrnoStatus(errno, "bind");
  return absl::OkStatus();
}

// What the HTTP library has to say goes to our log: its exceptions do not.
int LogHttp(const mg_connection*, const char* message) {
  spdlog::warn("metrics: {}", message);
  return 1;  // handled
}

const CivetCallbacks& Callbacks() {
  static const auto* const callbacks = [] {
    auto* made = new CivetCallbacks();
    made->log_message = &LogHttp;
    return made;
  }();
  return *callbacks;
}

class ExposerServer final : public MetricsServer {
 public:
  ExposerServer(const std::string& address, std::string host,
                std::vector<std::shared_ptr<prometheus::Collectable>> collectables)
      : host_(std::move(host)), collectables_(std::move(collectables)), exposer_(address, 1, &Callbacks()) {
    for (const auto& collectable : collectables_) exposer_.RegisterCollectable(collectable);
  }

  std::string address() const override {
    const std::vector<int> ports = exposer_.GetListeningPorts();
    const bool v6 = host_.find(':') != std::string::npos;
    return absl::StrCat(v6 ? "[" : "", host_, v6 ? "]" : "", ":", ports.empty() ? 0 : ports.front());
  }

 private:
  const std::string host_;
  const std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& address, std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
  const auto hint = "choose another metrics.address, or \"\" to serve none";
  ASSIGN_OR_RETURN(const HostAndPort parsed, Split(address), "metrics.address");
  if (const absl::Status bound = TryBind(parsed); !bound.ok()) {
    return Prefix(absl::Status(bound.code(), absl::StrCat(bound.message(), ": ", hint)),
                  absl::StrCat("metrics.address ", address));
  }
  try {
    return std::make_unique<ExposerServer>(address, parsed.host, std::move(collectables));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("metrics.address ", address, ": ", error.what(), ": ", hint));
  }
}

}  // namespace podvisor
