// The server as its clients see it, with sessions in memory behind it.
#include "cri/streaming/streaming_server.h"

#include <boost/asio/post.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "base/event_loop.h"
#include "base/status_matchers.h"
#include "cri/streaming/spdy/connection.h"
#include "cri/streaming/testing/stream_client.h"
#include "cri/testing/fake_pod_manager.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// What has become of the sessions.
struct Seen {
  absl::Mutex mu;
  std::vector<std::string> events ABSL_GUARDED_BY(mu);
  size_t written ABSL_GUARDED_BY(mu) = 0;  // bytes that the peer has taken

  void Add(const std::string& event) {
    absl::MutexLock lock(&mu);
    events.push_back(event);
  }
  bool Await(const std::string& event) {
    absl::MutexLock lock(&mu);
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
      return std::find(events.begin(), events.end(), event) != events.end();
    };
    return mu.AwaitWithTimeout(absl::Condition(&there), absl::Minutes(1));
  }
};

// "cat": says what it hears; "exit N" ends with N; "yes": never stops; "mute": never takes its input.
class FakeSession final : public StreamSession, public std::enable_shared_from_this<FakeSession> {
 public:
  FakeSession(EventLoop& loop, std::string what, std::shared_ptr<StreamPeer> peer, Seen& seen)
      : loop_(loop), what_(std::move(what)), peer_(std::move(peer)), seen_(seen) {}

  void Begin() {
    boost::asio::post(loop_.context(), [self = shared_from_this()] {
      if (self->what_ == "yes") self->Yes();
      if (absl::StartsWith(self->what_, "exit ")) self->Finish(std::atoi(self->what_.c_str() + 5));
    });
  }
  void Write(std::string data, std::function<void()> taken) override {
    if (what_ == "mute" || peer_ == nullptr) return;
    peer_->Write(PeerOutput::kStdout, std::move(data), std::move(taken));
  }
  void End() override {
    seen_.Add("end");
    Finish(0);
  }
  void Resize(TerminalSize size) override { seen_.Add(absl::StrCat("resize ", size.columns, "x", size.rows)); }
  void Hangup(Leave leave) override {
    if (peer_ == nullptr) return;
    peer_ = nullptr;
    seen_.Add(leave == Leave::kShutdown ? "shutdown" : "hangup");
  }

 private:
  void Finish(absl::StatusOr<int> exit) {
    if (const auto peer = std::exchange(peer_, nullptr)) peer->Finish(std::move(exit));
  }
  void Yes() {
    if (peer_ == nullptr) return;
    constexpr size_t kSize = 64 << 10;
    peer_->Write(PeerOutput::kStdout, std::string(kSize, 'y'), [self = shared_from_this()] {
      {
        absl::MutexLock lock(&self->seen_.mu);
        self->seen_.written += kSize;
      }
      boost::asio::post(self->loop_.context(), [self] { self->Yes(); });
    });
  }

  EventLoop& loop_;
  const std::string what_;
  std::shared_ptr<StreamPeer> peer_;
  Seen& seen_;
};

class StreamingServerTest : public testing::Test {
 protected:
  void SetUp() override {
    pods_.SetStream([this](const std::string& what, const StreamOptions&,
                           std::shared_ptr<StreamPeer> peer) -> absl::StatusOr<std::shared_ptr<StreamSession>> {
      seen_.Add(what);
      if (what == "fail") return absl::NotFoundError("no such thing");
      auto session = std::make_shared<FakeSession>(loop_, what, std::move(peer), seen_);
      session->Begin();
      return session;
    });
    Start({});
  }

  void Start(StreamingOptions options) {
    server_.reset();
    auto server = StreamingServer::Start(loop_, pods_, std::move(options));
    ASSERT_OK(server);
    server_ = *std::move(server);
  }

  std::string Url(StreamRequest request) {
    const auto url = server_->MakeUrl(std::move(request));
    EXPECT_OK(url);
    return url.ok() ? *url : "";
  }
  std::string ExecUrl(const std::string& command, StreamOptions options = {.want_stdin = true, .want_stdout = true}) {
    return Url({.kind = StreamKind::kExec, .id = "c1", .command = {command}, .options = options});
  }
  std::string ForwardUrl(std::vector<uint16_t> ports = {}) {
    return Url({.kind = StreamKind::kPortForward, .id = "s1", .ports = std::move(ports)});
  }

  static nlohmann::json Json(const std::string& text) { return nlohmann::json::parse(text, nullptr, false); }

  Seen seen_;
  EventLoop loop_{"streaming_test"};
  FakePodManager pods_;
  std::unique_ptr<StreamingServer> server_;
};

const std::vector<std::string> kSpdy = {"Connection: Upgrade", "Upgrade: SPDY/3.1",
                                        "X-Stream-Protocol-Version: v4.channel.k8s.io"};

TEST_F(StreamingServerTest, TokensThatAreUnknownOrUsedAreNotFound) {
  const std::string url = ExecUrl("cat");
  EXPECT_THAT(url, StartsWith("http://127.0.0.1:"));
  const std::string unknown = url.substr(0, url.rfind('/')) + "/00000000000000000000000000000000";
  EXPECT_EQ(RawClient(unknown).Request("POST", kSpdy), 404);
  EXPECT_EQ(RawClient(url.substr(0, url.find("/exec")) + "/stats").Request("GET", {}), 404);
  EXPECT_EQ(RawClient(url).Request("POST", {}), 400) << "asks for no upgrade: the token is as good as before";
  EXPECT_EQ(RawClient(url).Request("DELETE", kSpdy), 405);
  EXPECT_EQ(RawClient(url).Request("POST", kSpdy), 101);
  EXPECT_EQ(RawClient(url).Request("POST", kSpdy), 404);
}

TEST_F(StreamingServerTest, UnknownProtocolsAreForbidden) {
  EXPECT_EQ(SpdyClient(ExecUrl("cat"), {"v9.channel.k8s.io"}).status(), 403);
  EXPECT_EQ(WebSocketClient(ExecUrl("cat"), "chat").status(), 403);
}

TEST_F(StreamingServerTest, RubbishEndsThatConnectionOnly) {
  SpdyClient good(ExecUrl("cat"), {"v4.channel.k8s.io"});
  RawClient http(ExecUrl("cat"));
  http.Write("\x16\x03 this is no HTTP\r\n\r\n");
  http.ReadAll();
  RawClient huge(ExecUrl("cat"));
  EXPECT_EQ(huge.Request("GET", {"X: " + std::string(20'000, 'x')}) / 100, 4);
  SpdyClient bad(ExecUrl("cat"), {"v4.channel.k8s.io"});
  bad.raw().Write(std::string(64, '\xff'));
  EXPECT_EQ(bad.raw().ReadAll(), "");
  good.Ping(1);
  EXPECT_TRUE(good.ReadPing(1));
}

TEST_F(StreamingServerTest, SpdyExecEchoesUntilItsStdinEnds) {
  SpdyClient client(ExecUrl("cat"), {"v9.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"});
  ASSERT_EQ(client.status(), 101);
  EXPECT_THAT(client.raw().head(), HasSubstr("X-Stream-Protocol-Version: v4.channel.k8s.io\r\n"));
  const uint32_t error = client.Open({{"streamtype", "error"}});
  const uint32_t in = client.Open({{"streamtype", "stdin"}});
  EXPECT_EQ(client.Open({{"streamtype", "stderr"}}), 0) << "not asked for";
  const uint32_t out = client.Open({{"streamtype", "stdout"}});
  client.Send(in, "hello");
  EXPECT_EQ(client.ReadStream(out, 5), "hello");
  client.EndStream(in);
  EXPECT_EQ(Json(client.ReadStream(error))["status"], "Success");
  EXPECT_EQ(client.ReadStream(out), "hello");
  EXPECT_TRUE(client.has_ended(out));
  EXPECT_TRUE(seen_.Await("end"));
}

TEST_F(StreamingServerTest, ExitCodesByVersion) {
  for (const std::string version : {"v5.", "v4.", "v3.", "v2.", ""}) {
    SpdyClient client(ExecUrl("exit 7", {.want_stdout = true}), {version + "channel.k8s.io"});
    const uint32_t error = client.Open({{"streamtype", "error"}});
    client.Open({{"streamtype", "stdout"}});
    const std::string text = client.ReadStream(error);
    if (version > "v3.") {
      EXPECT_EQ(Json(text)["details"]["causes"][0]["message"], "7") << text;
    } else {
      EXPECT_EQ(text, "command terminated with non-zero exit code: exit status 7") << version;
    }
  }
}

TEST_F(StreamingServerTest, WhatCannotStartSaysWhy) {
  SpdyClient client(ExecUrl("fail", {.want_stdout = true}), {"v4.channel.k8s.io"});
  const uint32_t error = client.Open({{"streamtype", "error"}});
  client.Open({{"streamtype", "stdout"}});
  EXPECT_THAT(client.ReadStream(error), HasSubstr("no such thing"));
}

TEST_F(StreamingServerTest, TerminalsAreResized) {
  const StreamOptions tty{.tty = true, .want_stdin = true, .want_stdout = true};
  SpdyClient client(ExecUrl("cat", tty), {"v4.channel.k8s.io"});
  client.Open({{"streamtype", "error"}});
  client.Open({{"streamtype", "stdin"}});
  client.Open({{"streamtype", "stdout"}});
  const uint32_t resize = client.Open({{"streamtype", "resize"}});
  client.Send(resize, "{\"Width\":100,");
  client.Send(resize, "\"Height\":30}\n");
  EXPECT_TRUE(seen_.Await("resize 100x30"));
  WebSocketClient socket(ExecUrl("cat", tty), "v4.channel.k8s.io");
  socket.Send("\x04{\"Width\":90,\"Height\":20}");
  EXPECT_TRUE(seen_.Await("resize 90x20"));
}

TEST_F(StreamingServerTest, AClientThatLeavesHangsUp) {
  {
    SpdyClient client(ExecUrl("cat"), {"v4.channel.k8s.io"});
    for (const char* type : {"error", "stdin", "stdout"}) client.Open({{"streamtype", type}});
    ASSERT_TRUE(seen_.Await("cat"));
  }
  EXPECT_TRUE(seen_.Await("hangup"));
}

TEST_F(StreamingServerTest, WebSocketExec) {
  for (const std::string protocol : {"", "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"}) {
    WebSocketClient client(ExecUrl("cat"), protocol);
    ASSERT_EQ(client.status(), 101) << protocol;
    EXPECT_EQ(client.Read(), "\x01") << "the connection stands";
    client.Send(std::string("\0hello", 6));
    EXPECT_EQ(client.Read(), "\x01hello");
    if (protocol != "v5.channel.k8s.io") continue;
    client.Send(std::string("\xff\0", 2));
    const std::string status = client.Read();
    ASSERT_THAT(status, StartsWith("\x03"));
    EXPECT_EQ(Json(status.substr(1))["status"], "Success");
    EXPECT_EQ(client.Read(), "");
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(StreamingServerTest, WebSocketExecInBase64) {
  WebSocketClient client(ExecUrl("cat"), "v4.base64.channel.k8s.io");
  EXPECT_EQ(client.Read(), "1");
  client.Send("0" + absl::Base64Escape("hello"), true);
  EXPECT_EQ(client.Read(), "1" + absl::Base64Escape("hello"));
}

TEST_F(StreamingServerTest, SpdyForwardsManyConnections) {
  SpdyClient client(ForwardUrl(), {"portforward.k8s.io"});
  ASSERT_EQ(client.status(), 101);
  std::vector<uint32_t> data;
  for (int i = 0; i < 20; ++i) {
    const spdy::Headers headers = {{"port", "80"}, {"requestid", absl::StrCat(i)}, {"streamtype", "error"}};
    client.EndStream(client.Open(headers));
    data.push_back(client.Open({{"port", "80"}, {"requestid", absl::StrCat(i)}, {"streamtype", "data"}}));
  }
  for (const uint32_t id : data) client.Send(id, absl::StrCat("to ", id));
  for (const uint32_t id : data) {
    EXPECT_EQ(client.ReadStream(id, absl::StrCat("to ", id).size()), absl::StrCat("to ", id));
    client.EndStream(id);
    client.ReadStream(id);
    EXPECT_TRUE(client.has_ended(id));
  }
  EXPECT_TRUE(seen_.Await("port 80"));
  EXPECT_EQ(client.Open({{"port", "0"}, {"requestid", "x"}, {"streamtype", "data"}}), 0);
  EXPECT_EQ(client.Open({{"port", "80"}, {"requestid", "x"}, {"streamtype", "other"}}), 0);
}

TEST_F(StreamingServerTest, SpdyForwardsABoundedNumberOfConnections) {
  SpdyClient client(ForwardUrl(), {"portforward.k8s.io"});
  // The first half of a pair, a stream that is over as soon as it is open: it counts for no stream any more.
  constexpr int kFinAndUnidirectional = 3;
  const auto half = [&](size_t i) {
    return client.Open({{"port", "80"}, {"requestid", absl::StrCat(i)}, {"streamtype", "error"}},
                       kFinAndUnidirectional);
  };
  for (size_t i = 0; i < spdy::kMaxStreams; ++i) ASSERT_NE(half(i), 0u) << i;
  EXPECT_EQ(half(spdy::kMaxStreams), 0u);
  // Those that are there go on; one that ends makes room.
  const uint32_t data = client.Open({{"port", "80"}, {"requestid", "7"}, {"streamtype", "data"}});
  ASSERT_NE(data, 0u);
  client.Send(data, "hello");
  EXPECT_EQ(client.ReadStream(data, 5), "hello");
  client.EndStream(data);
  client.ReadStream(data);
  EXPECT_NE(half(spdy::kMaxStreams), 0u);
  EXPECT_EQ(half(spdy::kMaxStreams + 1), 0u);
}

TEST_F(StreamingServerTest, WebSocketForwardsTheRequestsPorts) {
  WebSocketClient client(ForwardUrl({80, 0x1234}), "v4.channel.k8s.io");
  EXPECT_EQ(client.Read(), std::string("\0\x50\0", 3));
  EXPECT_EQ(client.Read(), std::string("\1\x50\0", 3));
  EXPECT_EQ(client.Read(), std::string("\2\x34\x12", 3));
  EXPECT_EQ(client.Read(), std::string("\3\x34\x12", 3));
  client.Send("\x02hello");
  EXPECT_EQ(client.Read(), "\x02hello");
}

TEST_F(StreamingServerTest, APeerThatNeverReadsHoldsUpItsProgram) {
  SpdyClient client(ExecUrl("yes", {.want_stdout = true}), {"v4.channel.k8s.io"});
  client.Open({{"streamtype", "error"}});
  const uint32_t out = client.Open({{"streamtype", "stdout"}});
  EXPECT_EQ(client.ReadStream(out, 1)[0], 'y');
  // Each answer to another client is a turn of the event loop, in which the program could write.
  SpdyClient other(ExecUrl("cat"), {"v4.channel.k8s.io"});
  for (int i = 0; i < 2000; ++i) {
    other.Ping(2 * i + 1);
    ASSERT_TRUE(other.ReadPing(2 * i + 1));
  }
  size_t now;
  {
    absl::MutexLock lock(&seen_.mu);
    now = seen_.written;
  }
  EXPECT_LT(now, 64 << 20) << "what the kernel's buffers hold";
  const size_t more = now + (1 << 20);
  EXPECT_GE(client.ReadStream(out, more).size(), more) << "and goes on when it reads";
}

TEST_F(StreamingServerTest, AProgramThatNeverReadsHoldsUpItsClient) {
  SpdyClient client(ExecUrl("mute"), {"v4.channel.k8s.io"});
  client.Open({{"streamtype", "error"}});
  const uint32_t in = client.Open({{"streamtype", "stdin"}});
  client.Open({{"streamtype", "stdout"}});
  size_t sent = 0;
  const std::string piece(64 << 10, 'x');
  while (sent < (256 << 20) &&
         client.raw().TryWrite(absl::StrCat(std::string(3, '\0'), std::string(1, static_cast<char>(in)),
                                            std::string("\0\1\0\0", 4), piece)))
    sent += piece.size();
  EXPECT_LT(sent, 64 << 20) << "the server reads no more than it may hold";
}

TEST_F(StreamingServerTest, AThousandIdleConnectionsAreServedToo) {
  std::vector<std::unique_ptr<RawClient>> idle;
  const std::string url = ExecUrl("cat");
  for (int i = 0; i < 1000; ++i) idle.push_back(std::make_unique<RawClient>(url));
  SpdyClient client(url, {"v4.channel.k8s.io"});
  EXPECT_EQ(client.status(), 101);
}

TEST_F(StreamingServerTest, ShutdownTellsTheClients) {
  SpdyClient client(ExecUrl("cat"), {"v4.channel.k8s.io"});
  const uint32_t error = client.Open({{"streamtype", "error"}});
  client.Open({{"streamtype", "stdin"}});
  client.Open({{"streamtype", "stdout"}});
  ASSERT_TRUE(seen_.Await("cat"));
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_TRUE(seen_.Await("shutdown"));
  EXPECT_THAT(client.ReadStream(error), testing::AnyOf("", HasSubstr("shutting down")));
}

TEST_F(StreamingServerTest, IdleSessionsAndSlowRequestsEnd) {
  Start({.request_timeout = absl::Milliseconds(100)});
  RawClient silent(ExecUrl("cat"));
  EXPECT_EQ(silent.ReadAll(), "");
  Start({.idle_timeout = absl::Milliseconds(300)});
  WebSocketClient client(ExecUrl("cat"), "v4.channel.k8s.io");
  EXPECT_EQ(client.Read(), "\x01");
  EXPECT_EQ(client.Read(), "");
  EXPECT_TRUE(seen_.Await("hangup"));
}

TEST_F(StreamingServerTest, StreamsThatDoNotComeAreNotWaitedForLong) {
  StreamingOptions options;
  options.creation_timeout = absl::Milliseconds(100);
  Start(options);
  SpdyClient client(ExecUrl("cat"), {"v4.channel.k8s.io"});
  const uint32_t error = client.Open({{"streamtype", "error"}});
  EXPECT_EQ(client.ReadStream(error), "");
}

TEST_F(StreamingServerTest, BadAddressesAndCertificatesAreNamed) {
  for (const char* address : {"localhost", "127.0.0.1:99999", "::1:0", ":0"}) {
    EXPECT_THAT(StreamingServer::Start(loop_, pods_, {.address = address}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, "streaming.address"))
        << address;
  }
  EXPECT_THAT(StreamingServer::Start(loop_, pods_, {.tls = {.certificate = "/nowhere", .key = "/nowhere"}}).status(),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere"));
}

}  // namespace
}  // namespace podvisor::cri
