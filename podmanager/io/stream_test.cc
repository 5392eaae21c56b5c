// Sessions of a client: exec, attach and a forwarded port, on a guest in memory.
#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/state_db.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/attach_stream.h"
#include "podmanager/io/exec_stream.h"
#include "podmanager/io/port_stream.h"
#include "podmanager/io/run_in_loop.h"
#include "podmanager/io/testing/memory_guest.h"

namespace podvisor {
namespace {

constexpr absl::Duration kLongTime = absl::Seconds(60);
constexpr auto kOut = OutputStream::kStdout;
constexpr auto kErr = OutputStream::kStderr;

// A client that takes what it gets, or waits until Go().
class FakePeer final : public StreamPeer {
 public:
  void Write(PeerOutput output, std::string data, std::function<void()> taken) override {
    {
      absl::MutexLock lock(&mu_);
      EXPECT_TRUE(waiting_[Index(output)] == nullptr) << "a second piece before the first was taken";
      text_[Index(output)] += data;
      if (slow_) {
        waiting_[Index(output)] = std::move(taken);
        return;
      }
    }
    taken();
  }
  void End(PeerOutput output) override {
    absl::MutexLock lock(&mu_);
    EXPECT_FALSE(std::exchange(ended_[Index(output)], true));
  }
  void Finish(absl::StatusOr<int> exit) override {
    absl::MutexLock lock(&mu_);
    EXPECT_FALSE(finished_.has_value());
    finished_ = std::move(exit);
  }

  void Slow() {
    absl::MutexLock lock(&mu_);
    slow_ = true;
  }
  void Go(EventLoop& loop) {
    RunInLoop(loop, [this] {
      std::function<void()> waiting[2];
      {
        absl::MutexLock lock(&mu_);
        slow_ = false;
        for (int i : {0, 1}) waiting[i] = std::exchange(waiting_[i], nullptr);
      }
      for (const auto& taken : waiting)
        if (taken != nullptr) taken();
    });
  }
  // What it was told in the end.
  absl::StatusOr<int> Await() {
    absl::MutexLock lock(&mu_);
    const auto finished = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return finished_.has_value(); };
    if (!mu_.AwaitWithTimeout(absl::Condition(&finished), kLongTime)) return absl::DeadlineExceededError("no end");
    return *finished_;
  }
  bool AwaitText(PeerOutput output, size_t size) {
    absl::MutexLock lock(&mu_);
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return text_[Index(output)].size() >= size; };
    return mu_.AwaitWithTimeout(absl::Condition(&there), kLongTime);
  }
  std::string text(PeerOutput output) {
    absl::MutexLock lock(&mu_);
    return text_[Index(output)];
  }
  bool finished() {
    absl::MutexLock lock(&mu_);
    return finished_.has_value();
  }

 private:
  static int Index(PeerOutput output) { return output == PeerOutput::kStdout ? 0 : 1; }

  absl::Mutex mu_;
  std::string text_[2] ABSL_GUARDED_BY(mu_);
  bool ended_[2] ABSL_GUARDED_BY(mu_) = {false, false};
  std::function<void()> waiting_[2] ABSL_GUARDED_BY(mu_);
  bool slow_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::StatusOr<int>> finished_ ABSL_GUARDED_BY(mu_);
};

class StreamTest : public testing::Test {
 protected:
  ~StreamTest() override {
    if (log_ != nullptr) log_->Stop();
    guest_->Close();
    RunInLoop(loop_, [] {});
  }

  ExecStreamOptions Exec() {
    ExecStreamOptions options;
    options.sandbox_id = "s1";
    options.container_id = "c1";
    options.exec_id = "e1";
    options.want_stdin = options.want_stdout = options.want_stderr = true;
    return options;
  }
  void StartExec(ExecStreamOptions options) {
    Do([&] { session_ = StartExecStream(loop_, guest_, options, peer_); });
  }

  void StartAttach(AttachStreamOptions options) {
    auto db = StateDb::Open(":memory:");
    ASSERT_OK(db);
    db_ = *std::move(db);
    auto log = ContainerLog::Start(loop_, guest_, *db_, {.sandbox_id = "s1", .container_id = "c1"}, nullptr);
    ASSERT_OK(log);
    log_ = *log;
    options.container_id = "c1";
    options.log = log_;
    options.want_stdin = options.want_stdout = options.want_stderr = true;
    Do([&] { session_ = StartAttachStream(loop_, guest_, options, peer_); });
    Do([] {});  // attached
  }

  // In the event loop, as all calls of sessions.
  void Do(const std::function<void()>& step) { RunInLoop(loop_, step); }

  EventLoop loop_{"test"};
  std::shared_ptr<MemoryGuest> guest_ = std::make_shared<MemoryGuest>(loop_, MemoryGuest::Kind::kPodvisor);
  std::shared_ptr<FakePeer> peer_ = std::make_shared<FakePeer>();
  std::unique_ptr<StateDb> db_;
  std::shared_ptr<ContainerLog> log_;
  std::shared_ptr<StreamSession> session_;
};

TEST_F(StreamTest, ExecGivesOutputThenCodeAndIsReleased) {
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, "out");
    guest_->Print(id, kErr, "err");
    guest_->Exit(id, 3);
  });
  StartExec(Exec());
  const auto exit = peer_->Await();
  ASSERT_OK(exit);
  EXPECT_EQ(*exit, 3);
  EXPECT_EQ(peer_->text(PeerOutput::kStdout), "out");
  EXPECT_EQ(peer_->text(PeerOutput::kStderr), "err");
  ASSERT_TRUE(guest_->AwaitCalls("ReleaseExec", 1));
  Do([] {});
  EXPECT_TRUE(guest_->released("e1"));
}

TEST_F(StreamTest, ExecsStdinReachesTheProgramAndEnds) {
  StartExec(Exec());
  Do([&] { session_->Write(std::string(100'000, 'x'), [&] { session_->End(); }); });
  ASSERT_TRUE(guest_->AwaitCalls("CloseStdin", 1));
  EXPECT_EQ(guest_->stdin_of("e1").size(), 100'000);
  guest_->Exit("e1", 0);
  ASSERT_OK(peer_->Await());
}

TEST_F(StreamTest, ASlowClientLosesNothingOfAProgramThatHasEnded) {
  ExecStreamOptions options = Exec();
  options.drain = absl::Milliseconds(10);
  peer_->Slow();
  const std::string text(1'000'000, 'x');
  guest_->OnExec([&](const std::string& id) {
    guest_->Print(id, kOut, text);
    guest_->Exit(id, 0);
  });
  StartExec(options);
  ASSERT_TRUE(peer_->AwaitText(PeerOutput::kStdout, 1));
  ASSERT_TRUE(guest_->AwaitCalls("WaitExit", 1));
  EXPECT_LE(guest_->acknowledged("e1", kOut), 64u << 10) << "read no faster than it is taken";
  EXPECT_FALSE(peer_->finished());
  peer_->Go(loop_);
  ASSERT_OK(peer_->Await());
  EXPECT_EQ(peer_->text(PeerOutput::kStdout), text);
}

TEST_F(StreamTest, AProgramThatCannotStartSaysWhy) {
  guest_->FailNext("ExecProcess", absl::NotFoundError("no such program"));
  StartExec(Exec());
  EXPECT_THAT(peer_->Await(), StatusIs(absl::StatusCode::kNotFound, "no such program"));
}

TEST_F(StreamTest, AnExecWhoseClientHasGoneIsLeftToItself) {
  ExecStreamOptions options = Exec();
  StartExec(options);
  ASSERT_TRUE(guest_->AwaitCalls("WaitExit", 1));
  Do([&] { session_->Hangup(Leave::kClientGone); });
  ASSERT_TRUE(guest_->AwaitCalls("CloseStdin", 1));
  EXPECT_EQ(guest_->signal("e1"), 0);
  guest_->Print("e1", kOut, std::string(1'000'000, 'x'));  // read, and dropped
  guest_->Exit("e1", 0);
  ASSERT_TRUE(guest_->AwaitCalls("ReleaseExec", 1));
  EXPECT_FALSE(peer_->finished());
}

TEST_F(StreamTest, ATerminalHangsUpAndAShutdownKills) {
  ExecStreamOptions options = Exec();
  options.tty = true;
  StartExec(options);
  Do([&] { session_->Resize({.columns = 80, .rows = 24}); });
  ASSERT_TRUE(guest_->AwaitCalls("TtyWinResize", 1));
  Do([&] { session_->Hangup(Leave::kClientGone); });
  ASSERT_TRUE(guest_->AwaitCalls("SignalProcess", 1));
  EXPECT_EQ(guest_->signal("e1"), SIGHUP);
  options.exec_id = "e2";
  StartExec(options);
  ASSERT_TRUE(guest_->AwaitCalls("WaitExit", 2));
  Do([&] { session_->Hangup(Leave::kShutdown); });
  ASSERT_TRUE(guest_->AwaitCalls("SignalProcess", 2));
  Do([] {});
  EXPECT_EQ(guest_->signal("e2"), SIGKILL);
}

TEST_F(StreamTest, ASessionEndsWithItsGuest) {
  StartExec(Exec());
  ASSERT_TRUE(guest_->AwaitCalls("WaitExit", 1));
  guest_->Close();
  EXPECT_THAT(peer_->Await(), StatusIs(absl::StatusCode::kUnavailable, "its sandbox has ended"));
}

TEST_F(StreamTest, AttachSeesWhatComesUntilTheEnd) {
  StartAttach({});
  guest_->Print("", kOut, "hello");
  ASSERT_TRUE(peer_->AwaitText(PeerOutput::kStdout, 5));
  guest_->Exit("", 5);
  const auto exit = peer_->Await();
  ASSERT_OK(exit);
  EXPECT_EQ(*exit, 0);
}

TEST_F(StreamTest, ASlowAttachedClientSlowsTheContainerDown) {
  peer_->Slow();
  StartAttach({});
  const std::string text(1'000'000, 'x');
  guest_->Print("", kOut, text);
  ASSERT_TRUE(peer_->AwaitText(PeerOutput::kStdout, 1));
  Do([] {});
  EXPECT_LE(peer_->text(PeerOutput::kStdout).size(), 64u << 10);
  guest_->Exit("", 0);
  peer_->Go(loop_);
  ASSERT_OK(peer_->Await());
  EXPECT_EQ(peer_->text(PeerOutput::kStdout), text);
}

TEST_F(StreamTest, ASlowClientThatLeavesLetsTheContainerGoOn) {
  peer_->Slow();
  StartAttach({});
  const std::string text(1'000'000, 'x');
  guest_->Print("", kOut, text);
  ASSERT_TRUE(peer_->AwaitText(PeerOutput::kStdout, 1));
  const int before = guest_->calls("ReadOutput");
  Do([&] { session_->Hangup(Leave::kClientGone); });
  ASSERT_TRUE(guest_->AwaitCalls("ReadOutput", before + 10));
}

TEST_F(StreamTest, StdinOnceClosesTheContainers) {
  StartAttach({.stdin_once = true});
  Do([&] { session_->Write("words", [] {}); });
  ASSERT_TRUE(guest_->AwaitCalls("WriteStdin", 1));
  Do([&] { session_->End(); });
  ASSERT_TRUE(guest_->AwaitCalls("CloseStdin", 1));
  EXPECT_EQ(guest_->stdin_of(""), "words");
  EXPECT_FALSE(peer_->finished()) << "its output is still to come";
  guest_->Exit("", 0);
  ASSERT_OK(peer_->Await());
}

TEST_F(StreamTest, StdinThatIsNotForOneClientStaysOpen) {
  StartAttach({});
  Do([&] { session_->End(); });
  ASSERT_OK(peer_->Await());
  EXPECT_FALSE(guest_->stdin_closed(""));
}

TEST_F(StreamTest, APortCarriesBothDirectionsToTheirEnds) {
  Do([&] { session_ = StartPortStream(guest_, "s1", 80, peer_); });
  const std::string text(300'000, 'x');
  Do([&] { session_->Write(text, [&] { session_->End(); }); });
  ASSERT_OK(peer_->Await());
  EXPECT_EQ(peer_->text(PeerOutput::kStdout), text);
  ASSERT_TRUE(guest_->AwaitCalls("ClosePort", 1));
}

TEST_F(StreamTest, APortNobodyListensOnIsNamed) {
  Do([&] { session_ = StartPortStream(guest_, "s1", 1, peer_); });
  EXPECT_THAT(peer_->Await(), StatusIs(absl::StatusCode::kUnavailable, "port 1 of sandbox s1: connection refused"));
}

TEST_F(StreamTest, AClientThatLeavesClosesItsPort) {
  Do([&] { session_ = StartPortStream(guest_, "s1", 80, peer_); });
  ASSERT_TRUE(guest_->AwaitCalls("ReadPort", 1));
  Do([&] { session_->Hangup(Leave::kClientGone); });
  ASSERT_TRUE(guest_->AwaitCalls("ClosePort", 1));
  EXPECT_FALSE(peer_->finished());
}

}  // namespace
}  // namespace podvisor
