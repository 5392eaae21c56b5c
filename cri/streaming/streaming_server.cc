#include "cri/streaming/streaming_server.h"

#include <spdlog/spdlog.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cri/streaming/http_upgrade.h"
#include "cri/streaming/tls.h"
#include "cri/streaming/tokens.h"

namespace podvisor::cri {
namespace {

namespace ssl = boost::asio::ssl;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);  // when there are no descriptors left

absl::StatusOr<tcp::endpoint> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 0xffff)
    return absl::InvalidArgumentError("must be ADDRESS:PORT such as 127.0.0.1:0");
  absl::string_view host = absl::string_view(address).substr(0, colon);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  error_code error;
  const auto ip = boost::asio::ip::make_address(std::string(host), error);
  if (!error && ip.is_v6() != bracketed) return absl::InvalidArgumentError("must have IPv6 addresses in brackets");
  if (error) return absl::InvalidArgumentError("must have an IP address before the port");
  return tcp::endpoint(ip, static_cast<uint16_t>(port));
}

// What goes on in the event loop's thread; lives until its last handler has run.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(EventLoop& loop, StreamingOptions options, std::unique_ptr<ssl::context> tls, Tokens& tokens, Starter start)
      : loop_(loop),
        options_(std::move(options)),
        tls_(std::move(tls)),
        tokens_(tokens),
        start_(std::move(start)),
        acceptor_(loop.context()),
        pause_(loop.context()) {}

  absl::Status Listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
    if (error) return absl::UnavailableError(absl::StrCat(error.message(), ": choose another address"));
    address_ = acceptor_.local_endpoint();
    boost::asio::post(loop_.context(), [self = shared_from_this()] { self->Accept(); });
    return absl::OkStatus();
  }

  std::string url() const { return absl::StrCat(tls_ == nullptr ? "http://" : "https://", Text(address_)); }

  // No new connections; those there are are told. True once all have gone.
  void BeginShutdown() {
    boost::asio::post(loop_.context(), [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
      for (const auto& upgrade : Copy(self->upgrades_)) upgrade->Abort();
      for (const auto& conversation : Copy(self->conversations_)) conversation->Shutdown();
      self->closing_ = true;
      self->Count();
    });
  }
  void AbortAll() {
    boost::asio::post(loop_.context(), [self = shared_from_this()] {
      for (const auto& conversation : Copy(self->conversations_)) conversation->Abort();
      self->start_ = nullptr;
      absl::MutexLock lock(&self->mu_);
      self->aborted_ = true;
    });
  }
  void AwaitGone(absl::Time deadline) {
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithDeadline(absl::Condition(&gone_), deadline);
  }
  // Nothing of the pods is called any more.
  void AwaitAborted() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&aborted_));
  }

 private:
  static std::string Text(const tcp::endpoint& endpoint) {
    const std::string ip = endpoint.address().to_string();
    return endpoint.address().is_v6() ? absl::StrCat("[", ip, "]:", endpoint.port())
                                      : absl::StrCat(ip, ":", endpoint.port());
  }
  template <typename T>
  static std::vector<T> Copy(const std::set<T>& set) {
    return {set.begin(), set.end()};
  }

  void Accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
      if (!self->acceptor_.is_open()) return;
      if (error) return self->AcceptLater(error);
      self->OnConnection(std::move(socket));
      self->Accept();
    });
  }

  void AcceptLater(const error_code& error) {
    spdlog::warn("streaming: accept: {}", error.message());
    pause_.expires_after(absl::ToChronoNanoseconds(kAcceptPause));
    pause_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (!cancelled) self->Accept();
    });
  }

  void OnConnection(tcp::socket socket) {
    if (upgrades_.size() + conversations_.size() >= options_.max_connections) return;  // closed with the socket
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
    auto connection = tls_ == nullptr ? PlainConnection(std::move(socket)) : TlsConnection(std::move(socket), *tls_);
    UpgradeOptions upgrade;
    upgrade.conversation.context = &loop_.context();
    upgrade.conversation.idle_timeout = options_.idle_timeout;
    upgrade.conversation.creation_timeout = options_.creation_timeout;
    upgrade.conversation.linger = options_.linger;
    upgrade.request_timeout = options_.request_timeout;
    upgrade.redeem = [this](const StreamPath& path) { return tokens_.Redeem(path.token, path.kind, absl::Now()); };
    upgrade.start = [weak = weak_from_this()](
                        const StreamRequest& request, uint16_t port,
                        std::shared_ptr<StreamPeer> peer) -> absl::StatusOr<std::shared_ptr<StreamSession>> {
      const std::shared_ptr<Listener> self = weak.lock();
      if (self == nullptr || self->start_ == nullptr) return absl::UnavailableError("podvisord is shutting down");
      return self->start_(request, port, std::move(peer));
    };
    auto slot = std::make_shared<std::shared_ptr<HttpUpgrade>>();
    *slot = HttpUpgrade::Begin(Transport(loop_.context(), std::move(connection)), std::move(upgrade),
                               [self = shared_from_this(), slot](std::shared_ptr<Conversation> conversation) {
                                 self->upgrades_.erase(*slot);
                                 *slot = nullptr;
                                 if (conversation != nullptr) self->Converse(std::move(conversation));
                                 self->Count();
                               });
    upgrades_.insert(*slot);
  }

  void Converse(std::shared_ptr<Conversation> conversation) {
    if (closing_) return;  // its connection is closed with it
    conversations_.insert(conversation);
    conversation->Begin([weak = weak_from_this(), key = std::weak_ptr<Conversation>(conversation)] {
      const std::shared_ptr<Listener> self = weak.lock();
      if (self == nullptr) return;
      self->conversations_.erase(key.lock());
      self->Count();
    });
  }

  void Count() {
    absl::MutexLock lock(&mu_);
    gone_ = closing_ && upgrades_.empty() && conversations_.empty();
  }

  EventLoop& loop_;
  const StreamingOptions options_;
  const std::unique_ptr<ssl::context> tls_;
  Tokens& tokens_;
  Starter start_;
  tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  tcp::endpoint address_;
  std::set<std::shared_ptr<HttpUpgrade>> upgrades_;
  std::set<std::shared_ptr<Conversation>> conversations_;
  bool closing_ = false;

  absl::Mutex mu_;
  bool gone_ ABSL_GUARDED_BY(mu_) = false;
  bool aborted_ ABSL_GUARDED_BY(mu_) = false;
};

class StreamingServerImpl final : public StreamingServer {
 public:
  StreamingServerImpl(EventLoop& loop, PodManager& pods, StreamingOptions options, std::unique_ptr<ssl::context> tls)
      : pods_(pods),
        listener_(std::make_shared<Listener>(
            loop, std::move(options), std::move(tls), tokens_,
            [this](const StreamRequest& request, uint16_t port, std::shared_ptr<StreamPeer> peer) {
              return StartSession(request, port, std::move(peer));
            })) {}

  ~StreamingServerImpl() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen(const tcp::endpoint& endpoint) {
    RETURN_IF_ERROR(listener_->Listen(endpoint));
    listening_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> MakeUrl(StreamRequest request) override {
    const StreamKind kind = request.kind;
    ASSIGN_OR_RETURN(const std::string token, tokens_.Issue(std::move(request), absl::Now()));
    return absl::StrCat(listener_->url(), MakeStreamPath(kind, token));
  }

  void Shutdown(absl::Duration drain) override {
    if (!std::exchange(listening_, false)) return;
    listener_->BeginShutdown();
    listener_->AwaitGone(absl::Now() + drain);
    listener_->AbortAll();
    listener_->AwaitAborted();
  }

 private:
  absl::StatusOr<std::shared_ptr<StreamSession>> StartSession(const StreamRequest& request, uint16_t port,
                                                              std::shared_ptr<StreamPeer> peer) {
    switch (request.kind) {
      case StreamKind::kExec:
        return pods_.StartExec(request.id, request.command, request.options, std::move(peer));
      case StreamKind::kAttach:
        return pods_.Attach(request.id, request.options, std::move(peer));
      case StreamKind::kPortForward:
        return pods_.DialPort(request.id, port, std::move(peer));
    }
    return absl::InternalError("a stream of no kind");
  }

  PodManager& pods_;
  Tokens tokens_;
  const std::shared_ptr<Listener> listener_;
  bool listening_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StreamingServer>> StreamingServer::Start(EventLoop& loop, PodManager& pods,
                                                                        StreamingOptions options) {
  const std::string address = options.address;
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseAddress(address), "streaming.address ", address);
  ASSIGN_OR_RETURN(std::unique_ptr<ssl::context> tls, MakeTlsContext(options.tls));
  auto server = std::make_unique<StreamingServerImpl>(loop, pods, std::move(options), std::move(tls));
  RETURN_IF_ERROR(server->Listen(endpoint), "streaming.address ", address);
  return server;
}

}  // namespace podvisor::cri
