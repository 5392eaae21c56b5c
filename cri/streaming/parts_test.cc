// The small parts: tokens, statuses, sizes, names of protocols, channel messages, requests.
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/status_matchers.h"
#include "cri/streaming/exit_status.h"
#include "cri/streaming/http_upgrade.h"
#include "cri/streaming/input_queue.h"
#include "cri/streaming/protocols.h"
#include "cri/streaming/terminal_sizes.h"
#include "cri/streaming/tokens.h"
#include "cri/streaming/websocket_channels.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

using nlohmann::json;

StreamRequest ExecOf(const std::string& id) { return {.kind = StreamKind::kExec, .id = id}; }

TEST(Tokens, AreGoodOnceAndForTheirKind) {
  Tokens tokens;
  const absl::Time now = absl::UnixEpoch();
  const auto token = tokens.Issue(ExecOf("c1"), now);
  ASSERT_OK(token);
  EXPECT_EQ(token->size(), 32);
  EXPECT_FALSE(tokens.Redeem(*token, StreamKind::kAttach, now).has_value());
  EXPECT_FALSE(tokens.Redeem("nothing", StreamKind::kExec, now).has_value());
  const auto request = tokens.Redeem(*token, StreamKind::kExec, now);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->id, "c1");
  EXPECT_FALSE(tokens.Redeem(*token, StreamKind::kExec, now).has_value());
}

TEST(Tokens, ExpireAndAreBounded) {
  Tokens tokens;
  const absl::Time now = absl::UnixEpoch();
  std::set<std::string> seen;
  for (size_t i = 0; i < Tokens::kMaxTokens; ++i) {
    const auto token = tokens.Issue(ExecOf("c"), now);
    ASSERT_OK(token);
    seen.insert(*token);
  }
  EXPECT_EQ(seen.size(), Tokens::kMaxTokens);
  EXPECT_THAT(tokens.Issue(ExecOf("c"), now), StatusIs(absl::StatusCode::kResourceExhausted));
  const absl::Time later = now + Tokens::kLifetime;
  EXPECT_FALSE(tokens.Redeem(*seen.begin(), StreamKind::kExec, later).has_value());
  EXPECT_OK(tokens.Issue(ExecOf("c"), later));
}

TEST(ExitStatus, IsWhatKubectlReads) {
  EXPECT_EQ(json::parse(ExitStatusJson(0, "x")), json::parse(R"({"metadata":{},"status":"Success"})"));
  EXPECT_EQ(json::parse(ExitStatusJson(3, "x")),
            json::parse(R"({"metadata":{},"status":"Failure","reason":"NonZeroExitCode",
                "message":"command terminated with non-zero exit code: exit status 3",
                "details":{"causes":[{"reason":"ExitCode","message":"3"}]}})"));
  const json failed = json::parse(ExitStatusJson(absl::NotFoundError("no \"sh\" \xff"), "executing command"));
  EXPECT_EQ(failed["status"], "Failure");
  EXPECT_EQ(failed["reason"], "InternalError");
  EXPECT_EQ(failed["code"], 500);
  EXPECT_THAT(failed["message"].get<std::string>(), testing::HasSubstr("error executing command: no \"sh\""));
  EXPECT_EQ(ExitStatusText(0, "x"), "");
  EXPECT_EQ(ExitStatusText(absl::NotFoundError("gone"), "attaching"), "error attaching: gone");
}

TEST(TerminalSizes, ComeCutAnywhere) {
  TerminalSizes sizes;
  std::vector<TerminalSize> all;
  for (const char c : std::string("{\"Width\":80,\"Height\":24}\n{\"Width\":99999,\"Height\":1}")) {
    const auto some = sizes.Feed(std::string(1, c));
    ASSERT_OK(some);
    all.insert(all.end(), some->begin(), some->end());
  }
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].columns, 80);
  EXPECT_EQ(all[0].rows, 24);
  EXPECT_EQ(all[1].columns, 0xffff);
  for (const std::string bad : {"}", "[1]}", "{\"Width\":}"})
    EXPECT_THAT(TerminalSizes().Feed(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  EXPECT_THAT(TerminalSizes().Feed(std::string(1000, ' ')), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(Protocols, TheClientsFirstKnownOneIsTaken) {
  EXPECT_EQ(ChooseSpdyProtocol(StreamKind::kExec, {"v9.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"}),
            "v4.channel.k8s.io");
  EXPECT_EQ(ChooseSpdyProtocol(StreamKind::kAttach, {}), "");
  EXPECT_EQ(ChooseSpdyProtocol(StreamKind::kExec, {"v4.base64.channel.k8s.io"}), std::nullopt);
  EXPECT_EQ(ChooseSpdyProtocol(StreamKind::kPortForward, {"v4.channel.k8s.io"}), std::nullopt);
  EXPECT_EQ(ChooseSpdyProtocol(StreamKind::kPortForward, {"portforward.k8s.io"}), "portforward.k8s.io");
  EXPECT_EQ(ChooseWebSocketProtocol(StreamKind::kExec, {"v5.channel.k8s.io"}), "v5.channel.k8s.io");
  EXPECT_EQ(ChooseWebSocketProtocol(StreamKind::kExec, {"base64.channel.k8s.io"}), "base64.channel.k8s.io");
  EXPECT_EQ(ChooseWebSocketProtocol(StreamKind::kExec, {"chat"}), std::nullopt);
  EXPECT_EQ(ChooseWebSocketProtocol(StreamKind::kPortForward, {kTunnelProtocol}), kTunnelProtocol);
  EXPECT_EQ(ChooseWebSocketProtocol(StreamKind::kExec, {kTunnelProtocol}), std::nullopt);
  EXPECT_EQ(ParseCommandProtocol("").version, 1);
  EXPECT_EQ(ParseCommandProtocol("channel.k8s.io").version, 1);
  EXPECT_EQ(ParseCommandProtocol("v4.base64.channel.k8s.io").version, 4);
  EXPECT_EQ(ParseCommandProtocol("v4.base64.channel.k8s.io").message, MessageType::kText);
  EXPECT_EQ(ParseCommandProtocol("v5.channel.k8s.io").message, MessageType::kBinary);
}

TEST(ChannelMessages, BinaryAndBase64) {
  for (const MessageType type : {MessageType::kBinary, MessageType::kText}) {
    const auto message = ParseChannelMessage(MakeChannelMessage(2, std::string("a\0b", 3), type), type);
    ASSERT_OK(message);
    EXPECT_EQ(message->channel, 2);
    EXPECT_EQ(message->data, std::string("a\0b", 3));
    EXPECT_THAT(ParseChannelMessage("", type), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_EQ(MakeChannelMessage(1, "hi", MessageType::kText), "1aGk=");
  EXPECT_THAT(ParseChannelMessage("0&&&", MessageType::kText), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseChannelMessage("!aGk=", MessageType::kText), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(StreamPath, IsKindAndToken) {
  const auto path = ParseStreamPath(MakeStreamPath(StreamKind::kPortForward, "abc") + "?port=80");
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(path->kind, StreamKind::kPortForward);
  EXPECT_EQ(path->token, "abc");
  for (const char* bad : {"", "/", "/exec", "/exec/", "/exec/a/b", "/stats/a", "exec/a"})
    EXPECT_FALSE(ParseStreamPath(bad).has_value()) << bad;
}

// Takes what is written when it is told to.
class SlowSession final : public StreamSession {
 public:
  void Write(std::string, std::function<void()> taken) override { take = std::move(taken); }
  void End() override {}
  void Resize(TerminalSize) override {}
  void Hangup(Leave) override {}
  std::function<void()> take;
};

TEST(InputQueue, WhatIsKeptAtTheEndIsGivenBack) {
  size_t taken = 0;
  const auto queue = std::make_shared<InputQueue>([&](size_t bytes) { taken += bytes; });
  const auto session = std::make_shared<SlowSession>();
  queue->Connect(session);
  queue->Push("first");
  session->take();
  EXPECT_EQ(taken, 5u);
  queue->Push("under way");
  queue->Push("waiting");
  queue->Close();
  EXPECT_EQ(taken, 21u);
  session->take();
  EXPECT_EQ(taken, 21u) << "given back twice";
}

}  // namespace
}  // namespace podvisor::cri
