#include "cli/log_reader.h"

#include <stdio.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor::cli {
namespace {

struct Collected {
  std::string out, err;
  LogParser::Sink sink() {
    return [this](LogStream stream, absl::string_view bytes) {
      absl::StrAppend(stream == LogStream::kStdout ? &out : &err, bytes);
    };
  }
};

constexpr char kLog[] =
    "2026-01-01T00:00:00.000000001Z stdout F one two  three\n"
    "2026-01-01T00:00:00.000000002Z stderr F oops\n"
    "2026-01-01T00:00:00.000000003Z stdout P part \n"
    "2026-01-01T00:00:00.000000004Z stdout F \n"
    "2026-01-01T00:00:00.000000005Z stdout F whole\n";

TEST(LogParserTest, AnySplitGivesTheSame) {
  const std::string log = kLog;
  for (size_t cut = 0; cut <= log.size(); ++cut) {
    Collected got;
    LogParser parser(got.sink());
    parser.Take(log.substr(0, cut));
    parser.Take(log.substr(cut));
    EXPECT_EQ(got.out, "one two  three\npart \nwhole\n") << cut;
    EXPECT_EQ(got.err, "oops\n") << cut;
  }
}

TEST(LogParserTest, OtherLinesAreShownAsTheyAre) {
  Collected got;
  LogParser parser(got.sink());
  parser.Take("not a log line\n");
  EXPECT_EQ(got.out, "not a log line\n");
}

TEST(LogParserTest, LinesThatAreTooLongAreShownAsTheyAreAndNotKept) {
  const std::string head = "2026-01-01T00:00:00.000000001Z stdout F ";
  const std::string longest = head + std::string(LogParser::kMaxLine - head.size(), 'x');
  const std::string log = absl::StrCat(longest, "\n", longest, "y\n", head, "after\n");
  for (const size_t cut : {size_t{1000}, longest.size(), longest.size() + 1, 2 * longest.size() + 1, log.size() - 3}) {
    Collected got;
    LogParser parser(got.sink());
    parser.Take(log.substr(0, cut));
    parser.Take(log.substr(cut));
    EXPECT_EQ(got.out, absl::StrCat(longest.substr(head.size()), "\n", longest, "y\nafter\n")) << cut;
  }
  Collected got;
  LogParser parser(got.sink());
  parser.Take(std::string(3 * LogParser::kMaxLine, 'x'));
  EXPECT_EQ(got.out.size(), 3 * LogParser::kMaxLine) << "shown before its end";
}

TEST(LogFollowerTest, FollowsRotation) {
  const std::string path = testing::TempDir() + "/follow.log";
  ::unlink(path.c_str());
  Collected got;
  auto follower = LogFollower::Open(path, got.sink());
  ASSERT_OK(follower);
  ASSERT_OK(follower->Drain());
  std::ofstream(path) << "t stdout F a\n";
  follower->Wait(absl::Seconds(20), -1);
  ASSERT_OK(follower->Drain());
  EXPECT_EQ(got.out, "a\n");
  std::ofstream(path, std::ios::app) << "t stdout F b\n";
  ASSERT_EQ(::rename(path.c_str(), (path + ".1").c_str()), 0);
  std::ofstream(path) << "t stdout F c\n";
  ASSERT_OK(follower->Drain());
  EXPECT_EQ(got.out, "a\nb\nc\n");
}

TEST(LogFollowerTest, MissingFolderIsNamed) {
  EXPECT_THAT(LogFollower::Open("/no/such/folder/x.log", nullptr),
              StatusIs(absl::StatusCode::kNotFound, "/no/such/folder/"));
}

}  // namespace
}  // namespace podvisor::cli
