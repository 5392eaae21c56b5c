#include "podmanager/io/log_format.h"

#include <string>

#include "gtest/gtest.h"

namespace podvisor {
namespace {

constexpr char kTime[] = "2026-01-01T00:00:00.000000000Z";

TEST(LogFormatTest, Timestamp) {
  EXPECT_EQ(LogTimestamp(absl::FromUnixNanos(1'767'225'600'000'000'000)), kTime);
  EXPECT_EQ(LogTimestamp(absl::FromUnixNanos(1'767'225'600'000'000'001)), "2026-01-01T00:00:00.000000001Z");
}

struct Case {
  std::string name;
  std::string data;
  Tail tail;
  size_t taken;
  std::string tags;  // of the lines
};

class AppendTest : public testing::TestWithParam<Case> {};

TEST_P(AppendTest, LinesStandForTheBytesTaken) {
  const Case& c = GetParam();
  std::string out = "before\n";
  EXPECT_EQ(AppendLogLines(OutputStream::kStderr, c.data, c.tail, kTime, &out), c.taken);
  std::string tags, content;
  out.erase(0, 7);
  while (!out.empty()) {
    const std::string line = out.substr(0, out.find('\n'));
    out.erase(0, line.size() + 1);
    auto parsed = ParseLogLine(line);
    ASSERT_TRUE(parsed.has_value()) << line;
    EXPECT_EQ(parsed->stream, OutputStream::kStderr);
    EXPECT_LE(parsed->content.size(), kMaxLogLine);
    tags += parsed->full ? 'F' : 'P';
    content += std::string(parsed->content) + (parsed->full ? "\n" : "");
  }
  EXPECT_EQ(tags, c.tags);
  EXPECT_EQ(content, c.data.substr(0, c.taken));
}

const std::string kLong(kMaxLogLine, 'x');

INSTANTIATE_TEST_SUITE_P(
    Data, AppendTest,
    testing::Values(Case{"Nothing", "", Tail::kFlush, 0, ""}, Case{"Line", "a\n", Tail::kMayHold, 2, "F"},
                    Case{"Lines", "a\n\nb\n", Tail::kMayHold, 5, "FFF"},
                    Case{"RestHeld", "a\nbc", Tail::kMayHold, 2, "F"}, Case{"AllHeld", "bc", Tail::kMayHold, 0, ""},
                    Case{"RestFlushed", "a\nbc", Tail::kFlush, 4, "FP"},
                    Case{"LongestLine", kLong + "\n", Tail::kMayHold, kMaxLogLine + 1, "F"},
                    Case{"LongestHeld", kLong, Tail::kMayHold, 0, ""},
                    Case{"LongestFlushed", kLong, Tail::kFlush, kMaxLogLine, "P"},
                    Case{"TooLong", kLong + "y\n", Tail::kMayHold, kMaxLogLine + 2, "PF"},
                    Case{"TooLongHeld", kLong + "y", Tail::kMayHold, kMaxLogLine, "P"},
                    Case{"MuchTooLong", kLong + kLong + "yy", Tail::kFlush, 2 * kMaxLogLine + 2, "PPP"},
                    Case{"Binary", std::string("\0\r\xff \n", 5), Tail::kMayHold, 5, "F"}),
    [](const auto& info) { return info.param.name; });

TEST(LogFormatTest, ExactLine) {
  std::string out;
  AppendLogLines(OutputStream::kStdout, "hello world\nrest", Tail::kFlush, kTime, &out);
  EXPECT_EQ(out, std::string(kTime) + " stdout F hello world\n" + kTime + " stdout P rest\n");
}

TEST(LogFormatTest, OtherLinesAreNone) {
  for (const std::string& line :
       {std::string(), std::string("x"), std::string(kTime), std::string(kTime) + " stdout",
        std::string(kTime) + " stdout F", std::string(kTime) + " stdout X a", std::string(kTime) + " stdin F a",
        std::string("now stdout F a"), std::string(" ") + kTime + " stdout F a"})
    EXPECT_FALSE(ParseLogLine(line).has_value()) << line;
  EXPECT_TRUE(ParseLogLine(std::string(kTime) + " stdout F ").has_value());
}

}  // namespace
}  // namespace podvisor
