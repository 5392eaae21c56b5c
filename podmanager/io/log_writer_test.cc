#include "podmanager/io/log_writer.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/log_format.h"
#include "podmanager/io/run_in_loop.h"

namespace podvisor {
namespace {

constexpr absl::Duration kLongTime = absl::Seconds(60);

class LogWriterTest : public testing::Test {
 protected:
  LogWriterTest() : dir_(testing::TempDir() + "/log_writer"), path_(dir_ + "/pod/0.log") {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
  }
  ~LogWriterTest() override {
    if (writer_ != nullptr) RunInLoop(loop_, [this] { writer_->Close(); });
    umount2(dir_.c_str(), MNT_DETACH);
    std::filesystem::remove_all(dir_);
  }

  void Open(uint64_t checkpoint_bytes = 1 << 20) {
    auto writer = LogWriter::Open(loop_,
                                  {.sandbox_id = "s1",
                                   .container_id = "c1",
                                   .start = {.path = path_},
                                   .checkpoint_bytes = checkpoint_bytes,
                                   .first_backoff = absl::Milliseconds(1),
                                   .max_backoff = absl::Milliseconds(5)},
                                  [this](const LogPosition& position) {
                                    if (checkpoint_error_.ok()) checkpoints_.push_back(position);
                                    return checkpoint_error_;
                                  });
    ASSERT_OK(writer);
    writer_ = *writer;
  }

  // Does not wait for the answer.
  std::shared_ptr<absl::Notification> Begin(OutputStream stream, const std::string& data, Tail tail = Tail::kMayHold) {
    auto taken = std::make_shared<absl::Notification>();
    RunInLoop(loop_, [&] {
      writer_->Write(stream, data, tail, [this, taken](size_t bytes) {
        taken_ = bytes;
        taken->Notify();
      });
    });
    return taken;
  }

  size_t Write(OutputStream stream, const std::string& data, Tail tail = Tail::kMayHold) {
    EXPECT_TRUE(Begin(stream, data, tail)->WaitForNotificationWithTimeout(kLongTime));
    return taken_;
  }

  absl::Status Reopen() {
    absl::Status status;
    RunInLoop(loop_, [&] { status = writer_->Reopen(); });
    return status;
  }

  static std::string Load(const std::string& path) {
    auto content = ReadFile(path, 64 << 20);
    EXPECT_OK(content);
    return content.ok() ? *content : "";
  }

  // Lines without their timestamps.
  static std::string Lines(const std::string& path) {
    std::string result;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) absl::StrAppend(&result, line.substr(line.find(' ') + 1), "|");
    return result;
  }

  EventLoop loop_{"test"};
  const std::string dir_;
  const std::string path_;
  std::vector<LogPosition> checkpoints_;
  absl::Status checkpoint_error_;
  size_t taken_ = 0;
  std::shared_ptr<LogWriter> writer_;
};

TEST_F(LogWriterTest, WritesLinesOfBothStreams) {
  Open();
  EXPECT_EQ(Write(OutputStream::kStdout, "a\nb\nc"), 4u);
  EXPECT_EQ(Write(OutputStream::kStderr, "e\n"), 2u);
  EXPECT_EQ(Write(OutputStream::kStdout, "c"), 0u);
  EXPECT_EQ(Write(OutputStream::kStdout, "c", Tail::kFlush), 1u);
  EXPECT_EQ(Lines(path_), "stdout F a|stdout F b|stderr F e|stdout P c|");
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_EQ(writer_->position().offset, (std::array<uint64_t, 2>{5, 2}));
  EXPECT_EQ(writer_->position().size, static_cast<uint64_t>(info.st_size));
}

TEST_F(LogWriterTest, ChecksItsPositionIn) {
  Open(/*checkpoint_bytes=*/100);
  ASSERT_EQ(checkpoints_.size(), 1u) << "before the first byte";
  EXPECT_EQ(checkpoints_[0].size, 0u);
  Write(OutputStream::kStdout, "short\n");
  EXPECT_EQ(checkpoints_.size(), 1u);
  Write(OutputStream::kStdout, std::string(100, 'x') + "\n");
  ASSERT_EQ(checkpoints_.size(), 2u);
  EXPECT_EQ(checkpoints_[1].size, Load(path_).size());
  EXPECT_EQ(checkpoints_[1].offset[0], 107u);
  RunInLoop(loop_, [this] { writer_->End(OutputStream::kStdout); });
  ASSERT_EQ(checkpoints_.size(), 3u);
  EXPECT_EQ(checkpoints_[2].ended, (std::array<bool, 2>{true, false}));
  checkpoint_error_ = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Write(OutputStream::kStderr, std::string(100, 'x') + "\n"), 101u) << "output goes on without";
}

TEST_F(LogWriterTest, ReopensARotatedFile) {
  Open();
  Write(OutputStream::kStdout, "old\n");
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  ASSERT_OK(Reopen());
  EXPECT_EQ(Load(path_), "") << "exists at once";
  Write(OutputStream::kStdout, "new\n");
  EXPECT_EQ(Lines(path_ + ".1"), "stdout F old|");
  EXPECT_EQ(Lines(path_), "stdout F new|");
  ASSERT_EQ(checkpoints_.size(), 2u);
  EXPECT_EQ(checkpoints_[1].size, 0u);
  EXPECT_EQ(checkpoints_[1].offset[0], 4u);
  EXPECT_NE(checkpoints_[1].inode, checkpoints_[0].inode);
  ASSERT_OK(Reopen());
  EXPECT_EQ(checkpoints_.size(), 2u) << "the same file";
}

TEST_F(LogWriterTest, KeepsTheOldFileWhereTheCheckpointFails) {
  Open();
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  checkpoint_error_ = absl::ResourceExhaustedError("database full");
  EXPECT_THAT(Reopen(), StatusIs(absl::StatusCode::kResourceExhausted, "container c1: reopen log"));
  Write(OutputStream::kStdout, "x\n");
  EXPECT_EQ(Lines(path_ + ".1"), "stdout F x|");
}

TEST_F(LogWriterTest, OpenSaysWhatIsWrong) {
  std::ofstream(dir_ + "/file") << "x";
  auto writer = LogWriter::Open(loop_, {.container_id = "c1", .start = {.path = dir_ + "/file/0.log"}},
                                [](const LogPosition&) { return absl::OkStatus(); });
  EXPECT_THAT(writer, StatusIs(absl::StatusCode::kFailedPrecondition, dir_ + "/file/0.log"));
  std::filesystem::create_directory(dir_ + "/0.log");
  writer = LogWriter::Open(loop_, {.container_id = "c1", .start = {.path = dir_ + "/0.log"}},
                           [](const LogPosition&) { return absl::OkStatus(); });
  EXPECT_FALSE(writer.ok());
  writer = LogWriter::Open(loop_, {.container_id = "c1", .start = {.path = path_}},
                           [](const LogPosition&) { return absl::ResourceExhaustedError("database full"); });
  EXPECT_THAT(writer, StatusIs(absl::StatusCode::kResourceExhausted, "c1"));
}

// A tmpfs of one MiB: the disk of a node that is full.
class FullDiskTest : public LogWriterTest {
 protected:
  void SetUp() override {
    if (mount("tmpfs", dir_.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "can't mount a tmpfs: needs root";
    Open();
  }
  // Blocks until the disk has no room.
  void Fill() { EXPECT_FALSE(std::ofstream(dir_ + "/ballast") << std::string(2 << 20, 'b') << std::flush); }
  void Free() { std::filesystem::remove(dir_ + "/ballast"); }
};

TEST_F(FullDiskTest, KeepsTheLinesUntilThereIsRoom) {
  Write(OutputStream::kStdout, "before\n");
  Fill();
  const std::string line(8000, 'x');
  auto out = Begin(OutputStream::kStdout, line + "\n" + line + "\n");
  auto err = Begin(OutputStream::kStderr, "error\n");
  RunInLoop(loop_, [] {});
  EXPECT_FALSE(out->HasBeenNotified());
  EXPECT_FALSE(err->HasBeenNotified());
  EXPECT_EQ(Lines(path_), "stdout F before|") << "no torn line stays";
  EXPECT_EQ(writer_->position().offset, (std::array<uint64_t, 2>{7, 0}));
  Free();
  ASSERT_TRUE(out->WaitForNotificationWithTimeout(kLongTime));
  ASSERT_TRUE(err->WaitForNotificationWithTimeout(kLongTime));
  EXPECT_EQ(Lines(path_), absl::StrCat("stdout F before|stdout F ", line, "|stdout F ", line, "|stderr F error|"));
  EXPECT_EQ(writer_->position().offset[0], 7u + 2 * 8001);
  EXPECT_EQ(Write(OutputStream::kStdout, "after\n"), 6u);
}

TEST_F(FullDiskTest, WhatWaitsGoesToTheReopenedFile) {
  Fill();
  auto out = Begin(OutputStream::kStdout, std::string(9000, 'x') + "\n");
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  ASSERT_OK(Reopen());
  Free();
  ASSERT_TRUE(out->WaitForNotificationWithTimeout(kLongTime));
  EXPECT_EQ(Lines(path_ + ".1"), "");
  EXPECT_EQ(Lines(path_).size(), 9000u + 10);
}

}  // namespace
}  // namespace podvisor
