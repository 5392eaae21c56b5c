#include "vmm/qemu/qmp_message.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

using testing::Optional;
using Kind = QmpMessage::Kind;

TEST(QmpMessageTest, Greeting) {
  const auto message = ParseQmpMessage(R"({"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}})");
  ASSERT_OK(message);
  EXPECT_EQ(message->kind, Kind::kGreeting);
  EXPECT_EQ(message->payload["version"]["qemu"]["major"], 7);
}

TEST(QmpMessageTest, ReturnWithId) {
  const auto message = ParseQmpMessage(R"({"return": {"running": true}, "id": 41})");
  ASSERT_OK(message);
  EXPECT_EQ(message->kind, Kind::kReturn);
  EXPECT_THAT(message->id, Optional(41u));
  EXPECT_EQ(message->payload["running"], true);
}

TEST(QmpMessageTest, ErrorBecomesAStatus) {
  const auto message = ParseQmpMessage(R"({"id": 2, "error": {"class": "GenericError", "desc": "no such node"}})");
  ASSERT_OK(message);
  EXPECT_EQ(message->kind, Kind::kError);
  EXPECT_THAT(QmpErrorStatus("blockdev-del", *message),
              StatusIs(absl::StatusCode::kInternal, "blockdev-del: no such node"));
  QmpMessage other = *message;
  other.name = "CommandNotFound";
  EXPECT_THAT(QmpErrorStatus("x", other), StatusIs(absl::StatusCode::kUnimplemented));
  other.name = "DeviceNotFound";
  EXPECT_THAT(QmpErrorStatus("x", other), StatusIs(absl::StatusCode::kNotFound));
}

TEST(QmpMessageTest, EventWithAndWithoutData) {
  const auto message = ParseQmpMessage(
      R"({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"reason": "guest-panic"}})");
  ASSERT_OK(message);
  EXPECT_EQ(message->kind, Kind::kEvent);
  EXPECT_EQ(message->name, "SHUTDOWN");
  EXPECT_EQ(message->payload["reason"], "guest-panic");
  ASSERT_OK(ParseQmpMessage(R"({"event": "STOP"})"));
}

class GarbageTest : public testing::TestWithParam<const char*> {};
TEST_P(GarbageTest, IsRefused) {
  EXPECT_THAT(ParseQmpMessage(GetParam()), StatusIs(absl::StatusCode::kInvalidArgument));
}
INSTANTIATE_TEST_SUITE_P(Lines, GarbageTest,
                         testing::Values("", "x", "[]", "null", "{", "{}", "{\"return\":", "{\"error\": 1}",
                                         "{\"event\": 7}", "{\"return\": {}, \"id\": \"text\"}",
                                         "{\"return\": {}, \"id\": -1}", "{\"return\": {}} trailing", "\xff\xfe{}"));

TEST(QmpMessageTest, DeepNestingIsHarmless) {
  const std::string deep = "{\"return\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_OK(ParseQmpMessage(deep));
}

TEST(LineSplitterTest, CutsWhereverTheBytesAreCut) {
  const std::string stream = "one\r\n\r\ntwo\nthree\r\n";
  for (size_t step = 1; step <= stream.size(); ++step) {
    LineSplitter splitter(64);
    std::vector<std::string> lines;
    for (size_t i = 0; i < stream.size(); i += step) {
      ASSERT_OK(splitter.Feed(absl::string_view(stream).substr(i, step)));
      while (auto line = splitter.Next()) lines.push_back(*line);
    }
    EXPECT_THAT(lines, testing::ElementsAre("one", "two", "three")) << step;
  }
}

TEST(LineSplitterTest, LimitIsPerLine) {
  LineSplitter splitter(4);
  ASSERT_OK(splitter.Feed("1234\n"));
  EXPECT_THAT(splitter.Next(), Optional(std::string("1234")));
  ASSERT_OK(splitter.Feed("123"));
  EXPECT_THAT(splitter.Next(), testing::Eq(std::nullopt));
  ASSERT_OK(splitter.Feed("4"));
  EXPECT_THAT(splitter.Feed("5"), StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace podvisor
