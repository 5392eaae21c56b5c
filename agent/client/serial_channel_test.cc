// The client on a virtio-serial port: a Unix listener plays QEMU's chardev, SerialGuestLink the guest behind it.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "agent/client/agent_client.h"
#include "agent/client/raw_peer.h"
#include "agent/protocol/serial_link.h"
#include "base/status_matchers.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

class SerialChannelTest : public testing::Test {
 protected:
  // What the host has sent, up to the next whole request; echoes preambles as the guest does.
  absl::StatusOr<Frame> NextRequest() {
    std::vector<Frame> frames;
    while (true) {
      absl::StatusOr<std::string> bytes = peer_.ReadSome();
      if (!bytes.ok()) return bytes.status();
      SerialGuestLink::Received received = guest_.Receive(*bytes);
      if (received.new_session) decoder_.Reset();
      if (absl::Status sent = peer_.Write(received.reply); !sent.ok()) return sent;
      if (absl::Status fed = decoder_.Feed(received.data, &frames); !fed.ok()) return fed;
      if (!frames.empty()) return std::move(frames[0]);
    }
  }
  std::string Wire(const std::string& data) {
    std::string out;
    guest_.Send(data, &out);
    return out;
  }
  void CallMetrics() {
    done_ = std::make_unique<absl::Notification>();
    client_->CallAsync(kAgentService, "GetMetrics", grpc::GetMetricsRequest(), absl::Now() + kPatience,
                       [this](absl::StatusOr<std::string> answer) {
                         answer_ = std::move(answer);
                         done_->Notify();
                       });
  }
  const absl::StatusOr<std::string>& Answer() {
    done_->WaitForNotification();
    return answer_;
  }

  EventLoop loop_{"io"};
  std::string path_ = absl::StrCat(testing::TempDir(), "/serial.sock");
  RawPeer peer_{path_};
  SerialGuestLink guest_;
  FrameDecoder decoder_;
  absl::StatusOr<std::string> answer_;
  std::unique_ptr<absl::Notification> done_;
  std::unique_ptr<AgentClient> client_ =
      AgentClient::Create(loop_, {.kind = GuestChannel::Kind::kSerial, .path = path_});
};

TEST_F(SerialChannelTest, EveryByteGetsThrough) {
  ASSERT_OK(peer_.Accept());
  CallMetrics();
  auto frame = NextRequest();
  ASSERT_OK(frame);
  EXPECT_EQ(RequestIn(*frame).method(), "GetMetrics");
  std::string all;
  for (int i = 0; i < 1024; ++i) all.push_back(static_cast<char>(i));
  all += std::string(1000, '\xf5');
  const std::string wire = Wire(RawPeer::Answer(frame->stream_id, all));
  ASSERT_OK(peer_.Write(wire.substr(0, 700)));
  ASSERT_OK(peer_.Write(wire.substr(700)));
  EXPECT_THAT(Answer(), IsOk());
  EXPECT_EQ(*Answer(), all);
}

TEST_F(SerialChannelTest, NothingIsSentBeforeTheEcho) {
  ASSERT_OK(peer_.Accept());
  CallMetrics();
  SerialDecoder decoder;
  uint64_t session = 0;
  // The preamble is repeated while the guest boots, and it is all that comes.
  for (int preambles = 0; preambles < 2;) {
    auto bytes = peer_.ReadSome();
    ASSERT_OK(bytes);
    for (const SerialEvent& event : decoder.Feed(*bytes)) {
      ASSERT_EQ(event.kind, SerialEvent::Kind::kPreamble);
      EXPECT_TRUE(preambles == 0 || event.session == session);
      session = event.session;
      ++preambles;
    }
  }
  std::string preamble;
  AppendPreamble(session, &preamble);
  ASSERT_OK(peer_.Write(guest_.Receive(preamble).reply));
  auto frame = NextRequest();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(Wire(RawPeer::Answer(frame->stream_id, ""))));
  EXPECT_THAT(Answer(), IsOk());
}

TEST_F(SerialChannelTest, StaleBytesAreIgnored) {
  ASSERT_OK(peer_.Accept());
  // An earlier daemon's session: half an answer, whole answers, another preamble, noise, a cut escape.
  std::string stale = RawPeer::Answer(1, "old").substr(3);
  std::string stuffed;
  AppendStuffed(stale + RawPeer::Answer(1, "old"), &stuffed);
  AppendPreamble(0x1234, &stuffed);
  AppendStuffed(RawPeer::Answer(1, "older"), &stuffed);
  stuffed += std::string(100, '\0') + "\xf5\x07\xf5";
  ASSERT_OK(peer_.Write(stuffed));
  CallMetrics();
  auto frame = NextRequest();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(Wire(RawPeer::Answer(frame->stream_id, "new"))));
  EXPECT_THAT(Answer(), IsOk());
  EXPECT_EQ(*Answer(), "new");
}

TEST_F(SerialChannelTest, ReconnectResynchronisesInTheMiddleOfAFrame) {
  ASSERT_OK(peer_.Accept());
  CallMetrics();
  auto frame = NextRequest();
  ASSERT_OK(frame);
  const std::string answer = Wire(RawPeer::Answer(frame->stream_id, std::string(1000, 'a')));
  ASSERT_OK(peer_.Write(answer.substr(0, 300)));
  peer_.Close();
  EXPECT_THAT(Answer(), StatusIs(absl::StatusCode::kUnavailable));
  // The guest does not notice, and the rest of its answer comes over the next connection.
  ASSERT_OK(peer_.Accept());
  CallMetrics();
  ASSERT_OK(peer_.Write(answer.substr(300)));
  frame = NextRequest();
  ASSERT_OK(frame);
  EXPECT_EQ(frame->stream_id, 1u);
  ASSERT_OK(peer_.Write(Wire(RawPeer::Answer(frame->stream_id, "new"))));
  EXPECT_THAT(Answer(), IsOk());
  EXPECT_EQ(*Answer(), "new");
}

TEST_F(SerialChannelTest, LostBytesMakeANewSession) {
  ASSERT_OK(peer_.Accept());
  CallMetrics();
  auto frame = NextRequest();
  ASSERT_OK(frame);
  std::string lost;
  AppendLost(&lost);
  ASSERT_OK(peer_.Write(lost));
  EXPECT_THAT(Answer(), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK(peer_.Accept());
  CallMetrics();
  frame = NextRequest();
  ASSERT_OK(frame);
  ASSERT_OK(peer_.Write(Wire(RawPeer::Answer(frame->stream_id, ""))));
  EXPECT_THAT(Answer(), IsOk());
}

TEST_F(SerialChannelTest, FloodBeforeTheEchoIsGivenUp) {
  ASSERT_OK(peer_.Accept());
  const std::string noise(1 << 20, 'x');
  absl::Status sent;
  for (int i = 0; i < 64 && sent.ok(); ++i) sent = peer_.Write(noise);
  EXPECT_THAT(sent, testing::Not(IsOk())) << "64 MiB of noise were taken";
  EXPECT_OK(peer_.Accept());
}

}  // namespace
}  // namespace podvisor
