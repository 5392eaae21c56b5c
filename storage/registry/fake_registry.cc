#include "storage/registry/fake_registry.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/unique_fd.h"

namespace podvisor {
namespace {

namespace http = boost::beast::http;

constexpr char kToken[] = "token-of-the-fake";

void SendAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    data.remove_prefix(static_cast<size_t>(sent));
  }
}

}  // namespace

struct FakeRegistry::Server {
  UniqueFd listener;
  uint16_t port = 0;
  std::thread accepting;
  absl::Mutex mu;
  std::vector<UniqueFd> connections ABSL_GUARDED_BY(mu);
  std::vector<std::thread> serving ABSL_GUARDED_BY(mu);
};

FakeRegistry::FakeRegistry() : server_(std::make_unique<Server>()) {
  server_->listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int fd = server_->listener.get();
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 64) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  server_->port = ntohs(address.sin_port);
  server_->accepting = std::thread([this] { Accept(); });
}

FakeRegistry::~FakeRegistry() {
  ::shutdown(server_->listener.get(), SHUT_RDWR);
  server_->accepting.join();
  std::vector<std::thread> serving;
  {
    absl::MutexLock lock(&server_->mu);
    for (UniqueFd& connection : server_->connections) ::shutdown(connection.get(), SHUT_RDWR);
    serving.swap(server_->serving);
  }
  for (std::thread& thread : serving) thread.join();
}

std::string FakeRegistry::host() const { return absl::StrCat("127.0.0.1:", server_->port); }

void FakeRegistry::Accept() {
  for (;;) {
    UniqueFd connection(::accept4(server_->listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.ok()) return;
    absl::MutexLock lock(&server_->mu);
    const int index = static_cast<int>(server_->connections.size());
    server_->connections.push_back(std::move(connection));
    server_->serving.emplace_back([this, index] { Serve(index); });
  }
}

Digest FakeRegistry::PutBlob(const std::string& content) {
  absl::MutexLock lock(&mu_);
  Digest digest = Digest::Of(content);
  blobs_[digest.ToString()] = content;
  return digest;
}

Digest FakeRegistry::PutManifest(const std::string& repository, const std::string& tag, const std::string& content,
                                 const std::string& media_type) {
  absl::MutexLock lock(&mu_);
  Digest digest = Digest::Of(content);
  manifests_[absl::StrCat(repository, "/", digest.ToString())] = {content, media_type};
  if (!tag.empty()) manifests_[absl::StrCat(repository, "/", tag)] = {content, media_type};
  return digest;
}

void FakeRegistry::SetAuth(Auth auth) {
  absl::MutexLock lock(&mu_);
  auth_ = auth;
}

void FakeRegistry::SetRanges(Ranges ranges) {
  absl::MutexLock lock(&mu_);
  ranges_ = ranges;
}

void FakeRegistry::Misbehave(const std::string& part, const Fault& fault, int times) {
  absl::MutexLock lock(&mu_);
  rules_.push_back({part, fault, times});
}

void FakeRegistry::Behave() {
  absl::MutexLock lock(&mu_);
  rules_.clear();
}

std::vector<FakeRegistry::Request> FakeRegistry::requests() const {
  absl::MutexLock lock(&mu_);
  return requests_;
}

int FakeRegistry::Count(const std::string& part) const {
  absl::MutexLock lock(&mu_);
  int count = 0;
  for (const Request& request : requests_) count += absl::StrContains(request.target, part) ? 1 : 0;
  return count;
}

void FakeRegistry::AwaitStall() {
  const auto stalled = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stalled_ > 0; };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&stalled));
  stalled_ = 0;
}

bool FakeRegistry::TakeFault(const std::string& target, Fault& fault) {
  absl::MutexLock lock(&mu_);
  for (Rule& rule : rules_) {
    if (rule.times == 0 || !absl::StrContains(target, rule.part)) continue;
    --rule.times;
    fault = rule.fault;
    return true;
  }
  return false;
}

bool FakeRegistry::IsAuthorized(const Request& request, Answer& refusal) {
  absl::MutexLock lock(&mu_);
  const std::string basic = absl::StrCat("Basic ", absl::Base64Escape("user:secret"));
  if (auth_ == Auth::kNone) return true;
  if (request.authorization == (auth_ == Auth::kBasic ? basic : absl::StrCat("Bearer ", kToken))) return true;
  refusal.status = 401;
  refusal.headers["WWW-Authenticate"] =
      auth_ == Auth::kBasic
          ? "Basic realm=\"fake\""
          : absl::StrCat("Bearer realm=\"", url(), "/token\",service=\"fake, with comma\",scope=\"repository:x:pull\"");
  refusal.body = R"({"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]})";
  return false;
}

FakeRegistry::Answer FakeRegistry::Respond(const Request& request, const std::string& body) {
  Answer answer;
  if (absl::StartsWith(request.target, "/token")) {
    const bool basic = request.authorization == absl::StrCat("Basic ", absl::Base64Escape("user:secret"));
    const bool refresh = request.method == "POST" && absl::StrContains(body, "refresh_token=refresh");
    answer.status = basic || refresh ? 200 : 401;
    if (answer.status == 200) answer.body = absl::StrCat("{\"token\":\"", kToken, "\"}");
    return answer;
  }
  if (!IsAuthorized(request, answer)) return answer;
  return RespondContent(request);
}

FakeRegistry::Answer FakeRegistry::RespondContent(const Request& request) {
  absl::MutexLock lock(&mu_);
  Answer answer;
  const std::string path = request.target.substr(0, request.target.find('?'));
  const size_t manifests = path.find("/manifests/");
  const size_t blobs = path.find("/blobs/");
  answer.status = 404;
  answer.body = R"({"errors":[{"code":"NOT_FOUND","message":"no such thing"}]})";
  if (!absl::StartsWith(path, "/v2/")) return answer;
  if (manifests != std::string::npos) {
    const auto found = manifests_.find(absl::StrCat(path.substr(4, manifests - 4), "/", path.substr(manifests + 11)));
    if (found == manifests_.end()) return answer;
    answer.headers["Content-Type"] = found->second.second;
    answer.body = found->second.first;
  } else if (blobs != std::string::npos) {
    const auto found = blobs_.find(path.substr(blobs + 7));
    if (found == blobs_.end()) return answer;
    answer.body = found->second;
  } else {
    return answer;
  }
  answer.status = 200;
  absl::string_view range = request.range;
  size_t start = 0;
  if (ranges_ == Ranges::kHonour && absl::ConsumePrefix(&range, "bytes=") && absl::ConsumeSuffix(&range, "-") &&
      absl::SimpleAtoi(range, &start) && start < answer.body.size()) {
    answer.status = 206;
    answer.headers["Content-Range"] =
        absl::StrCat("bytes ", start, "-", answer.body.size() - 1, "/", answer.body.size());
    answer.body = answer.body.substr(start);
  }
  return answer;
}

void FakeRegistry::Serve(int index) {
  int fd;
  {
    absl::MutexLock lock(&server_->mu);
    fd = server_->connections[static_cast<size_t>(index)].get();
  }
  std::string pending;
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.eager(true);
    boost::system::error_code error;
    while (!parser.is_done()) {
      if (!pending.empty()) {
        const size_t used = parser.put(boost::asio::buffer(pending), error);
        pending.erase(0, used);
        if (error && error != http::error::need_more) return;
        if (parser.is_done()) break;
      }
      char buffer[4096];
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      pending.append(buffer, static_cast<size_t>(got));
    }
    const auto& message = parser.get();
    const auto header = [&](const char* name) { return std::string(message[name]); };
    const Request request{std::string(message.method_string()),
                          std::string(message.target()),
                          header("Authorization"),
                          header("Range"),
                          header("Accept"),
                          header("X-Custom")};
    {
      absl::MutexLock lock(&mu_);
      requests_.push_back(request);
    }
    Fault fault;
    const bool faulty = TakeFault(request.target, fault);
    Answer answer;
    if (faulty && fault.kind == Fault::Kind::kStatus) {
      answer.status = fault.status;
      answer.headers["Retry-After"] = fault.retry_after;
    } else if (faulty && fault.kind == Fault::Kind::kRedirect) {
      answer.status = 307;
      answer.headers["Location"] = fault.location;
    } else {
      answer = Respond(request, message.body());
      if (faulty && fault.kind == Fault::Kind::kCorrupt && !answer.body.empty()) answer.body.back() ^= 1;
      if (faulty && fault.kind == Fault::Kind::kShort) answer.body.resize(std::min(fault.bytes, answer.body.size()));
    }
    std::string head =
        absl::StrCat("HTTP/1.1 ", answer.status, " Status\r\nContent-Length: ", answer.body.size(), "\r\n");
    for (const auto& [name, value] : answer.headers) absl::StrAppend(&head, name, ": ", value, "\r\n");
    absl::StrAppend(&head, "\r\n");
    SendAll(fd, head);
    if (faulty && (fault.kind == Fault::Kind::kTruncate || fault.kind == Fault::Kind::kStall)) {
      SendAll(fd, absl::string_view(answer.body).substr(0, fault.bytes));
      if (fault.kind == Fault::Kind::kStall) {
        {
          absl::MutexLock lock(&mu_);
          ++stalled_;
        }
        char byte;
        while (::recv(fd, &byte, 1, 0) > 0) {
        }
      }
      ::shutdown(fd, SHUT_RDWR);
      return;
    }
    SendAll(fd, answer.body);
  }
}

}  // namespace podvisor
