// The client against guests that lie, flood, hang and break off.
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "agent/client/agent_client.h"
#include "agent/client/raw_peer.h"
#include "base/status_matchers.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/health.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

// One call whose outcome a test waits for.
class PendingCall {
 public:
  explicit PendingCall(AgentClient& client, absl::Time deadline = absl::Now() + kPatience) {
    client.CallAsync(kAgentService, "GetMetrics", grpc::GetMetricsRequest(), deadline,
                     [this](absl::StatusOr<std::string> answer) {
                       EXPECT_FALSE(ended_.HasBeenNotified());
                       answer_ = std::move(answer);
                       ended_.Notify();
                     });
  }
  ~PendingCall() { ended_.WaitForNotification(); }
  const absl::StatusOr<std::string>& Wait() {
    ended_.WaitForNotification();
    return answer_;
  }
  bool ended() const { return ended_.HasBeenNotified(); }

 private:
  absl::StatusOr<std::string> answer_;
  absl::Notification ended_;
};

class HostilePeerTest : public testing::Test {
 protected:
  std::unique_ptr<AgentClient> Connect(GuestChannel::Kind kind = GuestChannel::Kind::kUnix,
                                       AgentClientTuning tuning = {}) {
    return AgentClient::Create(loop_, {.kind = kind, .path = path_, .port = 1024}, nullptr, tuning);
  }

  // Takes one request of the client and answers it: the connection works.
  void ServeOne(AgentClient& client) {
    PendingCall call(client);
    auto frame = peer_.ReadFrame();
    ASSERT_OK(frame);
    ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "fine")));
    EXPECT_THAT(call.Wait(), IsOk());
    EXPECT_EQ(*call.Wait(), "fine");
  }

  EventLoop loop_{"io"};
  std::string path_ = absl::StrCat(testing::TempDir(), "/hostile.sock");
  RawPeer peer_{path_};
};

std::string Bytes(const Frame& frame) {
  std::string bytes;
  EncodeFrame(frame, &bytes).IgnoreError();
  return bytes;
}

struct BadAnswer {
  std::string name;
  std::function<std::string(uint32_t stream_id)> bytes;
};

class BadAnswerTest : public HostilePeerTest, public testing::WithParamInterface<BadAnswer> {};

TEST_P(BadAnswerTest, BreaksTheConnectionAndTheNextOneWorks) {
  auto client = Connect();
  ASSERT_OK(peer_.Accept());
  PendingCall first(*client), second(*client);
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.ReadFrame());
  ASSERT_OK(peer_.Write(GetParam().bytes(frame->stream_id)));
  EXPECT_THAT(first.Wait(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(second.Wait(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_OK(peer_.AwaitClose());
  ASSERT_OK(peer_.Accept());
  ServeOne(*client);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadAnswerTest,
    testing::Values(
        BadAnswer{"Garbage", [](uint32_t) { return std::string(1000, '\xee'); }},
        BadAnswer{"Oversized",
                  [](uint32_t id) {
                    std::string header = Bytes({.stream_id = id, .type = FrameType::kResponse, .payload = {}});
                    header[0] = 0x00, header[1] = 0x40, header[3] = 0x01;  // 4 MiB + 1
                    return header;
                  }},
        BadAnswer{"UnknownStream", [](uint32_t id) { return RawPeer::Answer(id + 100, ""); }},
        BadAnswer{"EvenStream", [](uint32_t id) { return RawPeer::Answer(id + 1, ""); }},
        BadAnswer{"StreamZero", [](uint32_t) { return RawPeer::Answer(0, ""); }},
        BadAnswer{"RequestFromTheGuest",
                  [](uint32_t id) { return Bytes({.stream_id = id, .type = FrameType::kRequest, .payload = "x"}); }},
        BadAnswer{"DataFrame",
                  [](uint32_t id) { return Bytes({.stream_id = id, .type = FrameType::kData, .payload = "x"}); }},
        BadAnswer{"MalformedResponse",
                  [](uint32_t id) {
                    return Bytes({.stream_id = id, .type = FrameType::kResponse, .payload = "\xff\xff\xff"});
                  }}),
    [](const testing::TestParamInfo<BadAnswer>& info) { return info.param.name; });

TEST_F(HostilePeerTest, SecondAnswerToACallBreaksTheConnection) {
  auto client = Connect();
  ASSERT_OK(peer_.Accept());
  PendingCall call(*client);
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "one") + RawPeer::Answer(frame->stream_id, "two")));
  EXPECT_THAT(call.Wait(), IsOk());
  EXPECT_EQ(*call.Wait(), "one");
  EXPECT_OK(peer_.AwaitClose());
}

TEST_F(HostilePeerTest, BrokenMidFrame) {
  auto client = Connect();
  ASSERT_OK(peer_.Accept());
  PendingCall call(*client);
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  const std::string answer = RawPeer::Answer(frame->stream_id, "fine");
  ASSERT_OK(peer_.Write(answer.substr(0, answer.size() - 1)));
  peer_.Close();
  EXPECT_THAT(call.Wait(), StatusIs(absl::StatusCode::kUnavailable, "closed the connection"));
  ASSERT_OK(peer_.Accept());
  ServeOne(*client);
}

TEST_F(HostilePeerTest, AnswerByteByByteAndAnswersInOneWrite) {
  auto client = Connect();
  ASSERT_OK(peer_.Accept());
  PendingCall first(*client);
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  for (char byte : RawPeer::Answer(frame->stream_id, "slow")) ASSERT_OK(peer_.Write(absl::string_view(&byte, 1)));
  EXPECT_THAT(first.Wait(), IsOk());
  PendingCall second(*client), third(*client);
  auto a = peer_.ReadFrame();
  auto b = peer_.ReadFrame();
  ASSERT_OK(a);
  ASSERT_OK(b);
  ASSERT_OK(peer_.Write(RawPeer::Answer(b->stream_id, "") + RawPeer::Answer(a->stream_id, "")));
  EXPECT_THAT(second.Wait(), IsOk());
  EXPECT_THAT(third.Wait(), IsOk());
}

TEST_F(HostilePeerTest, HalfAFrameIsNotWaitedForForEver) {
  AgentClientTuning tuning;
  tuning.half_frame_timeout = absl::Milliseconds(50);
  auto client = Connect(GuestChannel::Kind::kUnix, tuning);
  ASSERT_OK(peer_.Accept());
  PendingCall call(*client);
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, std::string(1000, 'x')).substr(0, 500)));
  EXPECT_THAT(call.Wait(), StatusIs(absl::StatusCode::kUnavailable, "half a frame"));
  ASSERT_OK(peer_.Accept());
  ServeOne(*client);
}

TEST_F(HostilePeerTest, FloodOfAnswersEndsWithTheFirst) {
  auto client = Connect();
  ASSERT_OK(peer_.Accept());
  std::string flood;
  for (uint32_t id = 1; id < 200000; id += 2) flood += RawPeer::Answer(id, "x");
  // The client closes at once, so that the rest can't be written.
  EXPECT_THAT(peer_.Write(flood), testing::Not(IsOk()));
  ASSERT_OK(peer_.Accept());
  ServeOne(*client);
}

TEST_F(HostilePeerTest, RequestTellsTheTimeThatIsLeft) {
  auto client = Connect();
  ASSERT_OK(peer_.Accept());
  PendingCall call(*client, absl::Now() + absl::Seconds(30));
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  EXPECT_EQ(frame->stream_id, 1u);
  const ttrpc::Request request = RequestIn(*frame);
  EXPECT_EQ(request.service(), "grpc.AgentService");
  EXPECT_EQ(request.method(), "GetMetrics");
  EXPECT_GT(request.timeout_nano(), 0);
  EXPECT_LE(request.timeout_nano(), absl::ToInt64Nanoseconds(absl::Seconds(30)));
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "")));
  PendingCall unlimited(*client, absl::InfiniteFuture());
  frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  EXPECT_EQ(frame->stream_id, 3u);
  EXPECT_EQ(RequestIn(*frame).timeout_nano(), 0);
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "")));
}

TEST_F(HostilePeerTest, PeerThatReadsNothingMeetsBackPressure) {
  AgentClientTuning tuning;
  tuning.max_queued_bytes = 8 << 20;
  auto client = Connect(GuestChannel::Kind::kUnix, tuning);
  ASSERT_OK(peer_.Accept());
  grpc::CopyFileRequest copy;
  copy.set_data(std::string(1 << 20, 'x'));
  std::atomic<int> refused = 0;
  constexpr int kCalls = 32;
  for (int i = 0; i < kCalls; ++i) {
    client->CallAsync(kAgentService, "CopyFile", copy, absl::InfiniteFuture(),
                      [&](const absl::StatusOr<std::string>& answer) {
                        if (absl::IsResourceExhausted(answer.status())) ++refused;
                      });
  }
  client.reset();
  EXPECT_GT(refused, kCalls - 12);
}

// Hybrid vsock.

TEST_F(HostilePeerTest, HybridVsockHandshake) {
  auto client = Connect(GuestChannel::Kind::kHybridVsock);
  ASSERT_OK(peer_.Accept());
  auto line = peer_.ReadLine();
  ASSERT_OK(line);
  EXPECT_EQ(*line, "CONNECT 1024\n");
  PendingCall early(*client);
  ASSERT_OK(peer_.Write("OK 10"));
  ASSERT_OK(peer_.Write("73741824\n"));
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "")));
  EXPECT_THAT(early.Wait(), IsOk());
  ServeOne(*client);
}

TEST_F(HostilePeerTest, HybridVsockRefusalIsTriedAgain) {
  auto client = Connect(GuestChannel::Kind::kHybridVsock);
  // The guest does not listen yet: Firecracker and Cloud Hypervisor close the connection.
  ASSERT_OK(peer_.Accept());
  ASSERT_OK(peer_.ReadLine());
  PendingCall call(*client);
  peer_.Close();
  for (const char* refusal : {"ERR no such port\n", "\n", "HTTP/1.1 400 Bad Request\r\n\r\n"}) {
    ASSERT_OK(peer_.Accept());
    ASSERT_OK(peer_.ReadLine());
    ASSERT_OK(peer_.Write(refusal));
    EXPECT_OK(peer_.AwaitClose());
  }
  ASSERT_OK(peer_.Accept());
  ASSERT_OK(peer_.ReadLine());
  ASSERT_OK(peer_.Write(std::string(10000, 'x')));
  EXPECT_OK(peer_.AwaitClose());
  EXPECT_FALSE(call.ended()) << "a call that was not sent waits on";
  ASSERT_OK(peer_.Accept());
  ASSERT_OK(peer_.ReadLine());
  ASSERT_OK(peer_.Write("OK 5\n"));
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "")));
  EXPECT_THAT(call.Wait(), IsOk());
}

TEST_F(HostilePeerTest, HybridVsockThatSaysNothingIsTriedAgain) {
  AgentClientTuning tuning;
  tuning.handshake_timeout = absl::Milliseconds(20);
  auto client = Connect(GuestChannel::Kind::kHybridVsock, tuning);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(peer_.Accept());
    EXPECT_OK(peer_.AwaitClose());
  }
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "CONNECT 1024"));
}

TEST_F(HostilePeerTest, StalledHybridVsockIsNoticedAndMadeAnew) {
  AgentClientTuning tuning;
  tuning.stall_check = absl::Milliseconds(20);
  tuning.probe_timeout = absl::Milliseconds(50);
  auto client = Connect(GuestChannel::Kind::kHybridVsock, tuning);
  ASSERT_OK(peer_.Accept());
  ASSERT_OK(peer_.ReadLine());
  ASSERT_OK(peer_.Write("OK 5\n"));
  PendingCall call(*client);
  auto frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  EXPECT_EQ(RequestIn(*frame).method(), "GetMetrics");
  // A health check that is answered: slow is not stalled.
  frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  EXPECT_EQ(RequestIn(*frame).method(), "Check");
  ASSERT_OK(peer_.Write(RawPeer::Answer(frame->stream_id, "")));
  frame = peer_.ReadFrame();
  ASSERT_OK(frame);
  EXPECT_EQ(RequestIn(*frame).method(), "Check");
  EXPECT_FALSE(call.ended());
  // And one that is not.
  EXPECT_THAT(call.Wait(), StatusIs(absl::StatusCode::kUnavailable, "stalled"));
  EXPECT_OK(peer_.AwaitClose());
  ASSERT_OK(peer_.Accept());
}

TEST_F(HostilePeerTest, VsockWithoutAPeerFailsCleanly) {
  // Here there is no vhost_vsock, so that the socket or connect(2) fails; where there is, nobody listens at this port.
  auto client = AgentClient::Create(loop_, {.kind = GuestChannel::Kind::kVsock, .cid = 4000000, .port = 1024});
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(50)), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace podvisor
