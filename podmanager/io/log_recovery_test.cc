#include "podmanager/io/log_recovery.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/log_format.h"

namespace podvisor {
namespace {

constexpr char kTime[] = "2026-01-01T00:00:00.000000000Z";
constexpr size_t kLimit = 64 << 20;

// What a log says that each stream had.
std::array<std::string, 2> Payload(const std::string& log) {
  std::array<std::string, 2> streams;
  std::vector<std::string> lines = absl::StrSplit(log, '\n');
  EXPECT_EQ(lines.back(), "") << "a torn line";
  lines.pop_back();
  for (const std::string& line : lines) {
    auto parsed = ParseLogLine(line);
    EXPECT_TRUE(parsed.has_value()) << line;
    if (parsed) absl::StrAppend(&streams[Index(parsed->stream)], parsed->content, parsed->full ? "\n" : "");
  }
  return streams;
}

// A batch as LogWriter makes one of an answer of the agent.
struct Batch {
  OutputStream stream;
  std::string data;
  Tail tail;
};

void Save(const std::string& path, const std::string& content) {
  // Not atomically: the inode has to stay. Not by O_TRUNC: ext4 writes such a file to the disk when it is closed.
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  ASSERT_EQ(ftruncate(fd, static_cast<off_t>(content.size())), 0);
  close(fd);
}

std::string Load(const std::string& path) {
  auto content = ReadFile(path, kLimit);
  EXPECT_OK(content);
  return content.ok() ? *content : "";
}

LogPosition At(const std::string& path, uint64_t size, std::array<uint64_t, 2> offset) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return {.path = path, .inode = info.st_ino, .size = size, .offset = offset};
}

class LogRecoveryTest : public testing::Test {
 protected:
  LogRecoveryTest() : dir_(testing::TempDir() + "/log_recovery"), path_(dir_ + "/0.log") {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
  }
  ~LogRecoveryTest() override { std::filesystem::remove_all(dir_); }

  const std::string dir_;
  const std::string path_;
};

// After each batch a checkpoint; the file cut after it, at every `step`th byte; then the rest of both streams is
// written from the offsets that were found. Nothing may be missing or there twice. Returns the number of cuts.
int CutAndGoOn(const std::vector<Batch>& batches, size_t step, const std::string& path) {
  std::array<std::string, 2> truth;
  std::string whole;
  std::vector<std::pair<uint64_t, std::array<uint64_t, 2>>> checkpoints = {{0, {0, 0}}};
  std::array<uint64_t, 2> offset{};
  for (const Batch& batch : batches) {
    const size_t taken = AppendLogLines(batch.stream, batch.data, batch.tail, kTime, &whole);
    EXPECT_EQ(taken, batch.data.size());
    truth[Index(batch.stream)] += batch.data;
    offset[Index(batch.stream)] += taken;
    checkpoints.push_back({whole.size(), offset});
  }
  int cuts = 0;
  for (const auto& [size, at] : checkpoints) {
    for (size_t cut = size; cut <= whole.size(); cut += step) {
      Save(path, whole.substr(0, cut));
      auto recovered = RecoverLog(At(path, size, at));
      if (!recovered.ok() || !recovered->doubt.empty()) {
        ADD_FAILURE() << "cut at " << cut << ": " << recovered.status() << (recovered.ok() ? recovered->doubt : "");
        return cuts;
      }
      std::string log = Load(path);
      EXPECT_EQ(log.size(), recovered->position.size);
      EXPECT_EQ(recovered->torn_bytes, cut - log.size());
      EXPECT_EQ(recovered->bytes_after, log.size() - size);
      for (OutputStream stream : {OutputStream::kStdout, OutputStream::kStderr}) {
        const uint64_t from =
            std::min<uint64_t>(recovered->position.offset[Index(stream)], truth[Index(stream)].size());
        AppendLogLines(stream, truth[Index(stream)].substr(from), Tail::kFlush, kTime, &log);
      }
      EXPECT_EQ(Payload(log), truth) << "cut at " << cut << " after the checkpoint at " << size;
      if (testing::Test::HasFailure()) return cuts;
      ++cuts;
    }
  }
  return cuts;
}

// Both streams interleaved, partial lines, empty lines, an end without newline.
TEST_F(LogRecoveryTest, EveryCutAfterEveryCheckpointLosesAndDoublesNothing) {
  const int cuts = CutAndGoOn({{OutputStream::kStdout, "first\nsecond\n", Tail::kMayHold},
                               {OutputStream::kStderr, "error 1\n", Tail::kMayHold},
                               {OutputStream::kStdout, "prompt> ", Tail::kFlush},
                               {OutputStream::kStderr, "\n\n", Tail::kMayHold},
                               {OutputStream::kStdout, "answer\n", Tail::kMayHold},
                               {OutputStream::kStdout, " leading space\r\n", Tail::kMayHold},
                               {OutputStream::kStderr, "no newline at the end", Tail::kFlush},
                               {OutputStream::kStdout, "last\n", Tail::kFlush}},
                              1, path_);
  EXPECT_GT(cuts, 2000);
}

// Inside of a long line one byte is like another.
TEST_F(LogRecoveryTest, LinesLongerThanAPieceToo) {
  const int cuts = CutAndGoOn({{OutputStream::kStderr, std::string(3 * kMaxLogLine + 10, 'l') + "\n", Tail::kMayHold},
                               {OutputStream::kStdout, "short\n", Tail::kMayHold},
                               {OutputStream::kStderr, std::string(kMaxLogLine + 10, 'l'), Tail::kFlush}},
                              251, path_);
  EXPECT_GT(cuts, 300);
}

TEST_F(LogRecoveryTest, RotatedFilesAreFoundByInode) {
  std::string log;
  AppendLogLines(OutputStream::kStdout, "one\ntwo\n", Tail::kMayHold, kTime, &log);
  const std::string rotated = path_ + ".20260101-000000";
  Save(rotated, log + "2026-01-01T00:00:00.0");
  for (const bool fresh : {false, true}) {  // whether the new file is there already
    if (fresh) Save(path_, "");
    LogPosition start = At(rotated, 0, {5, 7});
    start.path = path_;
    auto recovered = RecoverLog(start);
    ASSERT_OK(recovered);
    EXPECT_EQ(recovered->doubt, "");
    EXPECT_EQ(recovered->position.offset, (std::array<uint64_t, 2>{13, 7}));
    EXPECT_EQ(recovered->position.path, path_);
    EXPECT_EQ(Load(rotated), log);
  }
}

TEST_F(LogRecoveryTest, WhatCantBeKnownIsSaid) {
  std::string log;
  AppendLogLines(OutputStream::kStdout, "one\ntwo\n", Tail::kMayHold, kTime, &log);
  Save(path_, log);
  const LogPosition start = At(path_, log.size(), {8, 0});
  const std::array<uint64_t, 2> known = {8, 0};

  LogPosition gone = start;
  gone.inode += 1000000;
  auto recovered = RecoverLog(gone);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "");
  EXPECT_EQ(recovered->position.offset, known);

  Save(path_, log.substr(0, 10));
  recovered = RecoverLog(start);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "");
  EXPECT_EQ(recovered->position.offset, known);
  EXPECT_EQ(Load(path_), log.substr(0, 10)) << "not ours to cut";

  Save(path_, log + "a note of an administrator\n" + log);
  recovered = RecoverLog(start);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "");
  EXPECT_EQ(recovered->position.offset[0], 16u) << "our lines count all the same";

  Save(path_, std::string(log.size() - 1, 'x') + "yz\n");
  recovered = RecoverLog(start);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "");

  Save(path_, log + std::string(1 << 20, 'x'));
  recovered = RecoverLog(start);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "");
}

TEST_F(LogRecoveryTest, OtherThingsAtThePathAreNotTouched) {
  Save(path_, "");
  const LogPosition start = At(path_, 0, {3, 0});
  ASSERT_EQ(std::remove(path_.c_str()), 0);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  auto recovered = RecoverLog(start);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "");
  ASSERT_EQ(std::remove(path_.c_str()), 0);
  ASSERT_EQ(symlink("/etc/passwd", path_.c_str()), 0);
  LogPosition elsewhere = At("/etc/passwd", 0, {3, 0});
  elsewhere.path = path_;
  recovered = RecoverLog(elsewhere);
  ASSERT_OK(recovered);
  EXPECT_NE(recovered->doubt, "") << "a symlink is followed";
}

TEST(LogPositionTest, SurvivesTheDatabase) {
  const LogPosition position = {.path = "/var/log/x", .inode = 7, .size = 9, .offset = {1, 2}, .ended = {false, true}};
  auto again = ParsePosition(SerializePosition(position));
  ASSERT_OK(again);
  EXPECT_EQ(*again, position);
  EXPECT_THAT(ParsePosition("garbage\xff\xff"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ParsePosition(""), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace podvisor
