#include "podmanager/io/container_log.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/log_format.h"
#include "podmanager/io/run_in_loop.h"
#include "podmanager/io/testing/memory_guest.h"

namespace podvisor {
namespace {

constexpr absl::Duration kLongTime = absl::Seconds(60);
constexpr auto kOut = OutputStream::kStdout;
constexpr auto kErr = OutputStream::kStderr;

class ContainerLogTest : public testing::Test {
 protected:
  ContainerLogTest()
      : dir_(testing::TempDir() + "/container_log"),
        path_(dir_ + "/0.log"),
        guest_(std::make_shared<MemoryGuest>(loop_, MemoryGuest::Kind::kPodvisor)) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    auto db = StateDb::Open(":memory:");
    EXPECT_OK(db);
    db_ = *std::move(db);
  }
  ~ContainerLogTest() override {
    log_ = nullptr;
    guest_->Close();
    RunInLoop(loop_, [] {});
    std::filesystem::remove_all(dir_);
  }

  void Start() {
    done_ = std::make_shared<absl::Notification>();
    auto log = ContainerLog::Start(loop_, guest_, *db_, {.sandbox_id = "s1", .container_id = "c1", .log_path = path_},
                                   [this, done = done_](absl::Status status) {
                                     status_ = std::move(status);
                                     done->Notify();
                                   });
    ASSERT_OK(log);
    log_ = *log;
  }

  absl::Status Done() {
    return done_->WaitForNotificationWithTimeout(kLongTime) ? status_ : absl::DeadlineExceededError("the test waits");
  }

  // What all files of the log say, in the order given, by stream; the lines of one stream are numbers from 0.
  static std::array<std::string, 2> Payload(const std::vector<std::string>& paths) {
    std::array<std::string, 2> streams;
    for (const std::string& path : paths) {
      std::ifstream file(path);
      for (std::string line; std::getline(file, line);) {
        auto parsed = ParseLogLine(line);
        EXPECT_TRUE(parsed.has_value()) << path << ": " << line;
        if (parsed)
          absl::StrAppend(&streams[parsed->stream == kOut ? 0 : 1], parsed->content, parsed->full ? "\n" : "");
      }
    }
    return streams;
  }

  std::string Checkpoint() {
    auto record = db_->Get(kLogCheckpointTable, "c1");
    EXPECT_OK(record);
    return record.ok() ? *record : "";
  }

  EventLoop loop_{"test"};
  const std::string dir_;
  const std::string path_;
  std::shared_ptr<MemoryGuest> guest_;
  std::unique_ptr<StateDb> db_;
  std::shared_ptr<ContainerLog> log_;
  std::shared_ptr<absl::Notification> done_;
  absl::Status status_;
};

TEST_F(ContainerLogTest, WritesTheLog) {
  Start();
  EXPECT_TRUE(std::filesystem::exists(path_)) << "before any output";
  guest_->Print("", kOut, "hello\n");
  guest_->Print("", kErr, "oops");
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  EXPECT_EQ(Payload({path_}), (std::array<std::string, 2>{"hello\n", "oops"}));
  ASSERT_OK(log_->Reopen()) << "after the end, too";
  EXPECT_OK(ContainerLog::Forget(*db_, "c1"));
  EXPECT_THAT(db_->Get(kLogCheckpointTable, "c1"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ContainerLogTest, ANewDaemonGoesOnAfterTheEnd) {
  Start();
  guest_->Print("", kOut, "hello\n");
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  log_ = nullptr;
  const int calls = guest_->calls("ReadOutput");
  Start();
  EXPECT_OK(Done());
  EXPECT_EQ(guest_->calls("ReadOutput"), calls) << "both streams are known to have ended";
  EXPECT_EQ(Payload({path_})[0], "hello\n");
}

// kill -9 of the daemon at random moments, as the database, the file and the guest see it: what the file has after the
// checkpoint may be cut anywhere, and acknowledged is only what was in the file.
TEST_F(ContainerLogTest, KilledDaemonsLoseAndDoubleNothing) {
  std::mt19937 random(20260101);
  std::array<std::string, 2> truth;
  std::vector<std::string> files = {path_};
  int number = 0;
  for (int life = 0; life < 60; ++life) {
    Start();
    for (int i = random() % 20; i >= 0; --i) {
      const OutputStream stream = random() % 2 == 0 ? kOut : kErr;
      const std::string text = absl::StrCat(number++, random() % 4 == 0 ? "" : "\n");
      guest_->Print("", stream, text);
      truth[stream == kOut ? 0 : 1] += text;
    }
    if (random() % 3 == 0) {  // what the kubelet does
      files.back() = absl::StrCat(path_, ".", files.size());
      ASSERT_EQ(rename(path_.c_str(), files.back().c_str()), 0);
      files.push_back(path_);
      if (random() % 4 != 0) {
        ASSERT_OK(log_->Reopen());
      } else {  // the daemon dies before it is told: its lines go on in the renamed file
        log_->Stop();
      }
    }
    for (int i = random() % 4; i > 0; --i) RunInLoop(loop_, [] {});  // more or less of it gets into the file
    log_->Stop();
    log_ = nullptr;
    // A write that the kill cut off was not acknowledged: make one.
    if (std::filesystem::exists(path_)) std::ofstream(path_, std::ios::app) << "2026-01-01T00:00:00.00000";
  }
  Start();
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  EXPECT_EQ(Payload(files), truth);
}

TEST_F(ContainerLogTest, ACheckpointOlderThanTheFileIsEnough) {
  Start();
  const std::string first = Checkpoint();
  std::string truth;
  for (int i = 0; i < 1000; ++i) truth += absl::StrCat("line ", i, "\n");
  guest_->Print("", kOut, truth);
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  log_ = nullptr;
  ASSERT_OK(db_->Put(kLogCheckpointTable, "c1", first));
  Start();
  EXPECT_OK(Done());
  EXPECT_EQ(Payload({path_})[0], truth);
}

TEST_F(ContainerLogTest, GoesOnWhereTheFileIsGone) {
  Start();
  guest_->Print("", kOut, "before\n");
  guest_->EndStream("", kErr);
  ASSERT_TRUE(guest_->AwaitCalls("ReadOutput", 3));
  RunInLoop(loop_, [] {});
  log_ = nullptr;
  std::filesystem::remove(path_);
  guest_->Print("", kOut, "after\n");
  guest_->Exit("", 0);
  Start();
  EXPECT_OK(Done());
  EXPECT_EQ(Payload({path_})[0].substr(Payload({path_})[0].size() - 6), "after\n");
}

TEST_F(ContainerLogTest, ABrokenRecordIsSurvived) {
  ASSERT_OK(db_->Put(kLogCheckpointTable, "c1", "\xff\xff"));
  guest_->Print("", kOut, "x\n");
  guest_->Exit("", 0);
  Start();
  EXPECT_OK(Done());
  EXPECT_EQ(Payload({path_})[0], "x\n");
}

TEST_F(ContainerLogTest, WithoutAPathTheOutputIsDropped) {
  absl::Notification done;
  auto log = ContainerLog::Start(loop_, guest_, *db_, {.sandbox_id = "s1", .container_id = "c1"},
                                 [&done](const absl::Status&) { done.Notify(); });
  ASSERT_OK(log);
  guest_->Print("", kOut, std::string(1 << 20, 'x'));
  guest_->Exit("", 0);
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kLongTime));
  ASSERT_OK((*log)->Reopen());
  EXPECT_GT(guest_->acknowledged("", kOut), uint64_t{900000});
}

TEST_F(ContainerLogTest, StartSaysWhatIsWrong) {
  auto log = ContainerLog::Start(loop_, guest_, *db_, {.sandbox_id = "s1", .container_id = "c1", .log_path = "x.log"},
                                 nullptr);
  EXPECT_THAT(log, StatusIs(absl::StatusCode::kInvalidArgument, "x.log"));
  std::filesystem::create_directory(path_);
  log =
      ContainerLog::Start(loop_, guest_, *db_, {.sandbox_id = "s1", .container_id = "c1", .log_path = path_}, nullptr);
  EXPECT_THAT(log.status().message(), testing::HasSubstr("container c1"));
  EXPECT_THAT(db_->Get(kLogCheckpointTable, "c1"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace podvisor
