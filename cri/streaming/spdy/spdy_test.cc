#include <zlib.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "cri/streaming/spdy/connection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::spdy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string Big(uint32_t number, int size) {
  std::string out;
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
  return out;
}

std::string Control(uint16_t type, uint8_t flags, const std::string& body) {
  return absl::StrCat(Big(0x8003, 2), Big(type, 2), Big(flags, 1), Big(body.size(), 3), body);
}

std::string DataFrame(uint32_t id, uint8_t flags, const std::string& data) {
  return absl::StrCat(Big(id, 4), Big(flags, 1), Big(data.size(), 3), data);
}

// What a client sends and what the server makes of it.
class SpdyTest : public testing::Test, public ConnectionEvents {
 protected:
  void OnStream(uint32_t id, const Headers& headers) override {
    log_.push_back(absl::StrCat("stream ", id, " ", Find(headers, "StreamType")));
    connection_.Reply(id);
  }
  void OnData(uint32_t id, absl::string_view data) override {
    if (!log_.empty() && log_.back().rfind(absl::StrCat("data ", id, " "), 0) == 0) {
      absl::StrAppend(&log_.back(), data);  // pieces of one text
    } else {
      log_.push_back(absl::StrCat("data ", id, " ", data));
    }
  }
  void OnEnd(uint32_t id) override { log_.push_back(absl::StrCat("end ", id)); }
  void OnReset(uint32_t id) override { log_.push_back(absl::StrCat("reset ", id)); }
  void OnGoAway() override { log_.push_back("goaway"); }

  std::string Syn(uint32_t id, const Headers& headers, uint8_t flags = 0) {
    return Control(1, flags, absl::StrCat(Big(id, 4), Big(0, 4), Big(0, 2), client_.Write(headers)));
  }

  Connection connection_{*this};
  HeaderWriter client_;
  HeaderReader replies_;
  std::vector<std::string> log_;
};

TEST_F(SpdyTest, StreamsDataAndHalfCloseCutAnywhere) {
  std::string bytes = Syn(1, {{"streamtype", "error"}});
  bytes += Syn(3, {{"streamtype", "stdin"}, {"x", std::string("a\0b", 3)}});
  bytes += DataFrame(3, 0, "hello") + Control(6, 0, Big(7, 4)) + DataFrame(3, 1, "");
  bytes += Control(7, 0, Big(0, 4) + Big(0, 4));
  for (const char byte : bytes) ASSERT_OK(connection_.Feed(std::string(1, byte)));
  EXPECT_THAT(log_, ElementsAre("stream 1 error", "stream 3 stdin", "data 3 hello", "end 3", "goaway"));
  const std::string output = connection_.TakeOutput();
  EXPECT_THAT(output, HasSubstr(Control(6, 0, Big(7, 4)))) << "a ping is answered";
  // The first frame is the reply to stream 1, with an empty block that a client can read.
  ASSERT_EQ(output.substr(0, 4), Big(0x80030002, 4));
  const size_t length = static_cast<uint8_t>(output[7]);
  EXPECT_EQ(output.substr(8, 4), Big(1, 4));
  const auto reply = replies_.Read(output.substr(12, length - 4));
  ASSERT_OK(reply);
  EXPECT_THAT(*reply, IsEmpty());
}

TEST_F(SpdyTest, SendsUntilTheEndOfAStream) {
  ASSERT_OK(connection_.Feed(Syn(1, {{"streamtype", "stdout"}})));
  connection_.TakeOutput();
  connection_.Data(1, "out", Fin::kNo);
  connection_.Data(1, "", Fin::kYes);
  connection_.Data(1, "late", Fin::kNo);
  connection_.Data(5, "no such stream", Fin::kNo);
  EXPECT_EQ(connection_.TakeOutput(), DataFrame(1, 0, "out") + DataFrame(1, 1, ""));
  EXPECT_EQ(connection_.streams(), 1);
  ASSERT_OK(connection_.Feed(DataFrame(1, 1, "")));
  EXPECT_EQ(connection_.streams(), 0);
}

TEST_F(SpdyTest, ResetEndsBothDirections) {
  ASSERT_OK(connection_.Feed(Syn(1, {})));
  ASSERT_OK(connection_.Feed(Syn(3, {}) + Control(3, 0, Big(1, 4) + Big(5, 4))));
  connection_.TakeOutput();
  connection_.Reset(3, ResetReason::kCancel);
  connection_.Data(1, "x", Fin::kNo);
  EXPECT_EQ(connection_.TakeOutput(), Control(3, 0, Big(3, 4) + Big(5, 4)));
  ASSERT_OK(connection_.Feed(DataFrame(3, 0, "was under way")));
  EXPECT_THAT(log_, ElementsAre("stream 1 ", "stream 3 ", "reset 1"));
}

TEST_F(SpdyTest, RefusesStreamsBeyondTheLimit) {
  for (size_t i = 0; i <= kMaxStreams; ++i) ASSERT_OK(connection_.Feed(Syn(2 * i + 1, {})));
  EXPECT_EQ(connection_.streams(), kMaxStreams);
  EXPECT_THAT(connection_.TakeOutput(), HasSubstr(Control(3, 0, Big(2 * kMaxStreams + 1, 4) + Big(3, 4))));
}

TEST_F(SpdyTest, IgnoresWhatItDoesNotUse) {
  EXPECT_OK(connection_.Feed(Control(9, 0, Big(1, 4) + Big(10, 4)) + Control(4, 0, Big(0, 4)) + Control(99, 0, "?")));
  EXPECT_EQ(connection_.TakeOutput(), "");
}

struct BadCase {
  const char* name;
  std::string bytes;
};
class BadFrames : public SpdyTest, public testing::WithParamInterface<BadCase> {};

TEST_P(BadFrames, EndTheConnection) {
  EXPECT_THAT(connection_.Feed(GetParam().bytes).code(),
              testing::AnyOf(absl::StatusCode::kInvalidArgument, absl::StatusCode::kResourceExhausted));
}

// Headers of `size` bytes that compress to next to nothing.
std::string Bomb(size_t size) {
  HeaderWriter writer;
  return absl::StrCat(Big(1, 4), Big(0, 4), Big(0, 2), writer.Write({{"a", std::string(size, 'x')}}));
}

INSTANTIATE_TEST_SUITE_P(
    Spdy, BadFrames,
    testing::Values(BadCase{"Version2", Big(0x80020001, 4) + Big(0, 4)},
                    BadCase{"HugeControl", Big(0x80030001, 4) + Big(0xffffff, 4)},
                    BadCase{"ShortSynStream", Control(1, 0, "123")},
                    BadCase{"NoZlib", Control(1, 0, Big(1, 4) + Big(0, 4) + Big(0, 2) + "rubbish")},
                    BadCase{"Bomb", Control(1, 0, Bomb(1 << 20))}, BadCase{"ShortPing", Control(6, 0, "1")},
                    BadCase{"ShortReset", Control(3, 0, "1")}, BadCase{"DataForStream0", DataFrame(0, 0, "x")},
                    BadCase{"DataBeforeStream", DataFrame(1, 0, "x")},
                    BadCase{"ReplyToNothing", Control(2, 0, "1234")}),
    [](const auto& info) { return info.param.name; });

TEST_F(SpdyTest, StreamIdsOnlyGrowAndAreOdd) {
  ASSERT_OK(connection_.Feed(Syn(5, {})));
  EXPECT_THAT(connection_.Feed(Syn(3, {})), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Connection(*this).Feed(Syn(2, {})), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(SpdyTest, DataAfterTheEndEndsTheConnection) {
  ASSERT_OK(connection_.Feed(Syn(1, {}, 1)));
  EXPECT_THAT(log_, ElementsAre("stream 1 ", "end 1"));
  EXPECT_THAT(connection_.Feed(DataFrame(1, 0, "x")), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(HeaderBlock, ParsesWhatItWrites) {
  const Headers headers = {{"streamtype", "data"}, {"port", "8080"}, {"empty", ""}};
  const auto parsed = ParseHeaders(SerializeHeaders(headers));
  ASSERT_OK(parsed);
  EXPECT_EQ(*parsed, headers);
}

TEST(HeaderBlock, RefusesLengthsThatLie) {
  const std::string good = SerializeHeaders({{"name", "value"}});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(ParseHeaders(good.substr(0, size)), StatusIs(absl::StatusCode::kInvalidArgument)) << size;
  }
  EXPECT_THAT(ParseHeaders(good + "x"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseHeaders(Big(0xffffffff, 4)), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseHeaders(Big(1, 4) + Big(0xfffffff0, 4)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(HeaderBlock, DictionaryIsTheProtocols) {
  // A zlib stream that wants a dictionary names it by its checksum: SPDY/3's is this.
  HeaderWriter writer;
  EXPECT_EQ(writer.Write({}).substr(2, 4), Big(0xe3c6a7c2, 4));
}

}  // namespace
}  // namespace podvisor::spdy
