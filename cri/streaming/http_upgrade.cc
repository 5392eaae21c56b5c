#include "cri/streaming/http_upgrade.h"

#include <spdlog/spdlog.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace podvisor::cri {
namespace {

namespace http = boost::beast::http;

constexpr size_t kMaxRequestBytes = 16 << 10;
constexpr char kSpdyToken[] = "SPDY/3.1";
constexpr char kVersionHeader[] = "X-Stream-Protocol-Version";
constexpr char kAcceptedHeader[] = "X-Accepted-Stream-Protocol-Versions";

struct KindName {
  StreamKind kind;
  const char* path;
};
constexpr KindName kKinds[] = {
    {StreamKind::kExec, "exec"}, {StreamKind::kAttach, "attach"}, {StreamKind::kPortForward, "portforward"}};

absl::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// The values of all headers of this name, at commas.
std::vector<std::string> Values(const UpgradeRequest& request, absl::string_view name) {
  std::vector<std::string> values;
  const auto range = request.equal_range(boost::beast::string_view(name.data(), name.size()));
  for (auto field = range.first; field != range.second; ++field) {
    for (absl::string_view value : absl::StrSplit(View(field->value()), ',')) {
      value = absl::StripAsciiWhitespace(value);
      if (!value.empty()) values.emplace_back(value);
    }
  }
  return values;
}

bool Has(const std::vector<std::string>& values, absl::string_view wanted) {
  for (const std::string& value : values)
    if (absl::EqualsIgnoreCase(value, wanted)) return true;
  return false;
}

class Upgrading final : public HttpUpgrade, public std::enable_shared_from_this<Upgrading> {
 public:
  Upgrading(Transport transport, UpgradeOptions options, std::function<void(std::shared_ptr<Conversation>)> done)
      : transport_(std::move(transport)),
        options_(std::move(options)),
        done_(std::move(done)),
        timer_(*options_.conversation.context) {
    parser_.header_limit(kMaxRequestBytes);
    parser_.body_limit(0);
  }

  void Begin() {
    timer_.expires_after(absl::ToChronoNanoseconds(options_.request_timeout));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (!cancelled) self->Abort();
    });
    transport_.connection().Handshake(
        [self = shared_from_this()](boost::system::error_code error) { error ? self->Abort() : self->Read(); });
  }

  void Abort() override {
    transport_.connection().Close();
    End(nullptr);
  }

 private:
  void Read() {
    http::async_read_header(transport_, buffer_, parser_,
                            [self = shared_from_this()](boost::system::error_code error, size_t) {
                              if (self->done_ == nullptr) return;
                              if (!error) return self->OnRequest();
                              if (error == http::error::header_limit)
                                return self->Refuse(http::status::request_header_fields_too_large, "request too large");
                              if (error.category() == http::make_error_code(http::error::bad_method).category() &&
                                  error != http::error::end_of_stream && error != http::error::partial_message)
                                return self->Refuse(http::status::bad_request, error.message());
                              self->Abort();
                            });
  }

  void OnRequest() {
    const UpgradeRequest& request = parser_.get();
    const std::optional<StreamPath> path = ParseStreamPath(View(request.target()));
    if (!path.has_value()) return Refuse(http::status::not_found, "404 page not found");
    if (request.method() != http::verb::get && request.method() != http::verb::post)
      return Refuse(http::status::method_not_allowed, "GET or POST");
    const absl::StatusOr<Upgrade> upgrade = ParseUpgrade(request);
    if (!upgrade.ok()) return Refuse(http::status::bad_request, std::string(upgrade.status().message()));
    std::optional<StreamRequest> redeemed = options_.redeem(*path);
    if (!redeemed.has_value()) return Refuse(http::status::not_found, "unknown, used or expired streaming token");
    request_ = *std::move(redeemed);
    options_.conversation.subject =
        absl::StrCat(View(request.target()).substr(1, View(request.target()).rfind('/') - 1), " of ", request_.id);
    const bool spdy = upgrade->kind == Upgrade::Kind::kSpdy;
    std::optional<std::string> protocol = spdy ? ChooseSpdyProtocol(request_.kind, upgrade->protocols)
                                               : ChooseWebSocketProtocol(request_.kind, upgrade->protocols);
    if (!protocol.has_value())
      return Refuse(http::status::forbidden, absl::StrCat("unable to upgrade: no known protocol among ",
                                                          absl::StrJoin(upgrade->protocols, ", ")));
    // What the client sent in the same breath.
    transport_.Unread(boost::beast::buffers_to_string(buffer_.data()));
    spdy ? AcceptSpdy(*protocol) : AcceptMessages(*protocol);
  }

  void AcceptSpdy(const std::string& protocol) {
    http::response<http::empty_body> response(http::status::switching_protocols, 11);
    response.set(http::field::connection, "Upgrade");
    response.set(http::field::upgrade, kSpdyToken);
    if (!protocol.empty()) response.set(kVersionHeader, protocol);
    Respond(std::move(response), [this, protocol](bool written) {
      if (!written) return Abort();
      std::unique_ptr<Wire> wire = SocketWire(transport_);
      End(request_.kind == StreamKind::kPortForward
              ? SpdyForward(options_.conversation, std::move(wire), options_.start, request_)
              : SpdyCommand(options_.conversation, std::move(wire), options_.start, request_,
                            ParseCommandProtocol(protocol)));
    });
  }

  void AcceptMessages(const std::string& protocol) {
    const bool tunnel = protocol == kTunnelProtocol;
    const CommandProtocol command = tunnel ? CommandProtocol{} : ParseCommandProtocol(protocol);
    AcceptWebSocket(transport_, parser_.get(), protocol, command.message,
                    [self = shared_from_this(), tunnel, command](absl::StatusOr<std::unique_ptr<Wire>> wire) {
                      if (self->done_ == nullptr) return;
                      wire.ok() ? self->OnMessages(*std::move(wire), tunnel, command) : self->Abort();
                    });
  }

  void OnMessages(std::unique_ptr<Wire> wire, bool tunnel, const CommandProtocol& protocol) {
    const ConversationOptions& conversation = options_.conversation;
    if (tunnel) return End(SpdyForward(conversation, std::move(wire), options_.start, request_));
    End(request_.kind == StreamKind::kPortForward
            ? WebSocketForward(conversation, std::move(wire), options_.start, request_, protocol)
            : WebSocketCommand(conversation, std::move(wire), options_.start, request_, protocol));
  }

  void Refuse(http::status status, const std::string& why) {
    http::response<http::string_body> response(status, 11);
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    response.set(http::field::connection, "close");
    if (status == http::status::forbidden)
      response.set(kAcceptedHeader,
                   "v5.channel.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io, v2.channel.k8s.io, "
                   "channel.k8s.io, portforward.k8s.io");
    response.body() = why + "\n";
    response.prepare_payload();
    Respond(std::move(response),
            [this](bool) { transport_.connection().EndWrite([self = shared_from_this()] { self->Abort(); }); });
  }

  template <typename Body>
  void Respond(http::response<Body> response, std::function<void(bool)> then) {
    auto kept = std::make_shared<http::response<Body>>(std::move(response));
    http::async_write(
        transport_, *kept,
        [self = shared_from_this(), kept, then = std::move(then)](boost::system::error_code error, size_t) {
          if (self->done_ != nullptr) then(!error);
        });
  }

  void End(std::shared_ptr<Conversation> conversation) {
    timer_.cancel();
    if (const auto done = std::exchange(done_, nullptr)) done(std::move(conversation));
  }

  Transport transport_;
  UpgradeOptions options_;
  std::function<void(std::shared_ptr<Conversation>)> done_;  // null at the end
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_{kMaxRequestBytes};
  http::request_parser<http::empty_body> parser_;
  StreamRequest request_;
};

}  // namespace

std::string MakeStreamPath(StreamKind kind, absl::string_view token) {
  for (const KindName& name : kKinds)
    if (name.kind == kind) return absl::StrCat("/", name.path, "/", token);
  return "/";
}

std::optional<StreamPath> ParseStreamPath(absl::string_view target) {
  target = target.substr(0, target.find('?'));  // a proxy may have added a query
  for (const KindName& name : kKinds) {
    absl::string_view rest = target;
    if (!absl::ConsumePrefix(&rest, absl::StrCat("/", name.path, "/"))) continue;
    if (rest.empty() || absl::StrContains(rest, "/")) return std::nullopt;
    return StreamPath{.kind = name.kind, .token = std::string(rest)};
  }
  return std::nullopt;
}

absl::StatusOr<Upgrade> ParseUpgrade(const UpgradeRequest& request) {
  Upgrade upgrade;
  if (boost::beast::websocket::is_upgrade(request)) {
    upgrade.kind = Upgrade::Kind::kWebSocket;
    upgrade.protocols = Values(request, "Sec-WebSocket-Protocol");
    return upgrade;
  }
  if (!Has(Values(request, "Connection"), "Upgrade") || !Has(Values(request, "Upgrade"), kSpdyToken))
    return absl::InvalidArgumentError("unable to upgrade: the request asks neither for SPDY/3.1 nor for a WebSocket");
  upgrade.protocols = Values(request, kVersionHeader);
  return upgrade;
}

std::shared_ptr<HttpUpgrade> HttpUpgrade::Begin(Transport transport, UpgradeOptions options,
                                                std::function<void(std::shared_ptr<Conversation>)> done) {
  auto upgrade = std::make_shared<Upgrading>(std::move(transport), std::move(options), std::move(done));
  upgrade->Begin();
  return upgrade;
}

}  // namespace podvisor::cri
