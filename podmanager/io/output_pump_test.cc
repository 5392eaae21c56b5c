#include "podmanager/io/output_pump.h"

#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/run_in_loop.h"
#include "podmanager/io/testing/memory_guest.h"

namespace podvisor {
namespace {

constexpr absl::Duration kLongTime = absl::Seconds(60);
constexpr auto kOut = OutputStream::kStdout;
constexpr auto kErr = OutputStream::kStderr;

// Takes whole lines, like the log writer, and can be told to wait with its answers.
class RecordingSink : public OutputSink {
 public:
  void Write(OutputStream stream, std::string data, Tail tail, std::function<void(size_t)> taken) override {
    size_t take = data.size();
    if (tail == Tail::kMayHold) take = data.rfind('\n') == std::string::npos ? 0 : data.rfind('\n') + 1;
    std::function<void()> answer = [this, stream, text = data.substr(0, take), tail, taken, take] {
      {
        absl::MutexLock lock(&mu_);
        text_[Index(stream)] += text;
        if (take > 0) ++writes_;
        if (tail == Tail::kFlush) ++flushes_;
      }
      taken(take);
    };
    if (!blocked_) return answer();
    waiting_.push_back(std::move(answer));
  }

  void End(OutputStream stream) override {
    absl::MutexLock lock(&mu_);
    ++ends_[Index(stream)];
  }

  // In the loop.
  void Block() { blocked_ = true; }
  void Unblock() {
    blocked_ = false;
    std::vector<std::function<void()>> waiting;
    waiting.swap(waiting_);
    for (const auto& answer : waiting) answer();
  }

  std::string text(OutputStream stream) {
    absl::MutexLock lock(&mu_);
    return text_[Index(stream)];
  }
  int ends(OutputStream stream) {
    absl::MutexLock lock(&mu_);
    return ends_[Index(stream)];
  }
  int flushes() {
    absl::MutexLock lock(&mu_);
    return flushes_;
  }
  // Blocks until the stream has this text; false after a long time.
  bool Await(OutputStream stream, const std::string& text) {
    absl::MutexLock lock(&mu_);
    const auto there = [this, stream, &text]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return text_[Index(stream)] == text; };
    return mu_.AwaitWithTimeout(absl::Condition(&there), kLongTime);
  }

 private:
  static size_t Index(OutputStream stream) { return stream == kOut ? 0 : 1; }

  bool blocked_ = false;
  std::vector<std::function<void()>> waiting_;
  absl::Mutex mu_;
  std::string text_[2] ABSL_GUARDED_BY(mu_);
  int ends_[2] ABSL_GUARDED_BY(mu_) = {};
  int writes_ ABSL_GUARDED_BY(mu_) = 0;
  int flushes_ ABSL_GUARDED_BY(mu_) = 0;
};

class RecordingTap : public OutputTap {
 public:
  void Data(OutputStream stream, absl::string_view data) override {
    absl::MutexLock lock(&mu_);
    text_[stream == kOut ? 0 : 1] += std::string(data);
  }
  void End(OutputStream) override {
    absl::MutexLock lock(&mu_);
    ++ends_;
  }
  bool Await(const std::string& out) {
    absl::MutexLock lock(&mu_);
    const auto there = [this, &out]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return text_[0] == out; };
    return mu_.AwaitWithTimeout(absl::Condition(&there), kLongTime);
  }
  int ends() {
    absl::MutexLock lock(&mu_);
    return ends_;
  }

 private:
  absl::Mutex mu_;
  std::string text_[2] ABSL_GUARDED_BY(mu_);
  int ends_ ABSL_GUARDED_BY(mu_) = 0;
};

class OutputPumpTest : public testing::Test {
 protected:
  explicit OutputPumpTest(MemoryGuest::Kind kind = MemoryGuest::Kind::kPodvisor)
      : guest_(std::make_shared<MemoryGuest>(loop_, kind)), sink_(std::make_shared<RecordingSink>()) {}
  ~OutputPumpTest() override {
    if (pump_ != nullptr) pump_->Stop();
    guest_->Close();
    RunInLoop(loop_, [] {});
  }

  OutputPumpOptions Options() {
    OutputPumpOptions options;
    options.sandbox_id = "s1";
    options.container_id = "c1";
    options.hold_time = absl::Milliseconds(1);
    options.first_backoff = absl::Milliseconds(1);
    options.max_backoff = absl::Milliseconds(2);
    return options;
  }

  void Start(OutputPumpOptions options) {
    pump_ = OutputPump::Start(loop_, guest_, sink_, options, [this](absl::Status status) {
      status_ = std::move(status);
      ++done_calls_;
      done_.Notify();  // fails if it is called twice
    });
  }

  absl::Status Done() {
    return done_.WaitForNotificationWithTimeout(kLongTime) ? status_ : absl::DeadlineExceededError("the test waits");
  }

  EventLoop loop_{"test"};
  std::shared_ptr<MemoryGuest> guest_;
  std::shared_ptr<RecordingSink> sink_;
  std::shared_ptr<OutputPump> pump_;
  absl::Notification done_;
  absl::Status status_;
  int done_calls_ = 0;
};

TEST_F(OutputPumpTest, MovesBothStreamsToTheirEnds) {
  Start(Options());
  guest_->Print("", kOut, "one\ntwo\n");
  guest_->Print("", kErr, "error\n");
  EXPECT_TRUE(sink_->Await(kOut, "one\ntwo\n"));
  guest_->Print("", kOut, "three");
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kOut), "one\ntwo\nthree");
  EXPECT_EQ(sink_->text(kErr), "error\n");
  EXPECT_EQ(sink_->ends(kOut), 1);
  EXPECT_EQ(sink_->ends(kErr), 1);
}

TEST_F(OutputPumpTest, AcknowledgesOnlyWhatTheSinkHasTaken) {
  RunInLoop(loop_, [this] { sink_->Block(); });
  Start(Options());
  guest_->Print("", kOut, "line\n");
  ASSERT_TRUE(guest_->AwaitCalls("ReadOutput", 2));
  RunInLoop(loop_, [] {});
  EXPECT_EQ(guest_->acknowledged("", kOut), 0u);
  EXPECT_EQ(guest_->calls("ReadOutput"), 2) << "back-pressure: no second call for the stream";
  RunInLoop(loop_, [this] { sink_->Unblock(); });
  ASSERT_TRUE(guest_->AwaitCalls("ReadOutput", 3));
  RunInLoop(loop_, [] {});
  EXPECT_EQ(guest_->acknowledged("", kOut), 5u);
}

TEST_F(OutputPumpTest, AnUnfinishedLineIsTakenAfterAWhile) {
  Start(Options());
  guest_->Print("", kOut, "prompt> ");
  EXPECT_TRUE(sink_->Await(kOut, "prompt> "));
  EXPECT_EQ(sink_->flushes(), 1);
  guest_->Print("", kOut, "yes\n");
  EXPECT_TRUE(sink_->Await(kOut, "prompt> yes\n"));
}

TEST_F(OutputPumpTest, LinesCutByTheSizeOfAnAnswerStayWhole) {
  OutputPumpOptions options = Options();
  options.max_bytes = 10;
  options.hold_time = kLongTime;  // never needed
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::string(i % 8, 'x') + "\n";
  guest_->Print("", kOut, text);
  guest_->Exit("", 0);
  Start(options);
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kOut), text);
}

TEST_F(OutputPumpTest, BrokenConnectionsLoseAndDoubleNothing) {
  Start(Options());
  std::string text;
  for (int i = 0; i < 50; ++i) {
    guest_->BreakNext("ReadOutput", i % 2 == 0 ? MemoryGuest::Loss::kAnswer : MemoryGuest::Loss::kRequest);
    if (i % 5 == 0) guest_->FailNext("ReadOutput", absl::DeadlineExceededError("slow"), 2);
    const std::string line = std::to_string(i) + "\n";
    guest_->Print("", kOut, line);
    text += line;
    if (i % 7 == 0) {
      ASSERT_TRUE(sink_->Await(kOut, text));
    }
  }
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kOut), text);
}

TEST_F(OutputPumpTest, BeginsWhereItIsTold) {
  guest_->Print("", kOut, "kept already\nnew\n");
  guest_->Exit("", 0);
  OutputPumpOptions options = Options();
  options.offset = {13, 0};
  options.ended = {false, true};
  Start(options);
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kOut), "new\n");
  EXPECT_EQ(sink_->ends(kErr), 0) << "it had ended before";
}

TEST_F(OutputPumpTest, AllEndedBeforeIsDoneAtOnce) {
  OutputPumpOptions options = Options();
  options.ended = {true, false};
  options.tty = true;
  Start(options);
  EXPECT_OK(Done());
  EXPECT_EQ(guest_->calls("ReadOutput"), 0);
}

TEST_F(OutputPumpTest, TerminalsHaveOneStream) {
  OutputPumpOptions options = Options();
  options.tty = true;
  guest_->Print("", kOut, "x\r\n");
  guest_->EndStream("", kOut);
  Start(options);
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kOut), "x\r\n");
}

TEST_F(OutputPumpTest, AnEarlierDaemonMayHaveAcknowledgedMore) {
  guest_->Print("", kOut, "gone\nthere\n");
  guest_->LieAboutOutput([](const agent::v1::ReadOutputRequest& request) {
    agent::v1::ReadOutputResponse response;
    response.set_eof(true);
    response.set_offset(request.stream() == agent::v1::STDOUT ? 5 : 0);
    if (request.stream() == agent::v1::STDOUT) response.set_data("there\n");
    return response;
  });
  Start(Options());
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kOut), "there\n");
}

TEST_F(OutputPumpTest, ErrorsThatStay) {
  guest_->FailNext("ReadOutput", absl::InternalError("broken agent"), 100);
  Start(Options());
  EXPECT_THAT(Done(), StatusIs(absl::StatusCode::kInternal, "of container c1: broken agent"));
}

TEST_F(OutputPumpTest, UnknownProcess) {
  guest_->FailNext("ReadOutput", absl::NotFoundError("no such container"));
  Start(Options());
  EXPECT_THAT(Done(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(OutputPumpTest, ClosedClient) {
  Start(Options());
  ASSERT_TRUE(guest_->AwaitCalls("ReadOutput", 2));
  guest_->Close();
  EXPECT_THAT(Done(), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(OutputPumpTest, StopIsSilent) {
  Start(Options());
  ASSERT_TRUE(guest_->AwaitCalls("ReadOutput", 2));
  RunInLoop(loop_, [this] { pump_->Stop(); });
  guest_->Print("", kOut, "too late\n");
  guest_->Exit("", 0);
  RunInLoop(loop_, [] {});
  EXPECT_EQ(done_calls_, 0);
  EXPECT_EQ(sink_->text(kOut), "");
  pump_->Stop();
}

TEST_F(OutputPumpTest, TapsSeeEachByteOnce) {
  auto tap = std::make_shared<RecordingTap>(), other = std::make_shared<RecordingTap>();
  Start(Options());
  pump_->AddTap(tap);
  pump_->AddTap(other);
  guest_->Print("", kOut, "held line");
  EXPECT_TRUE(tap->Await("held line"));
  EXPECT_TRUE(sink_->Await(kOut, "held line"));
  pump_->RemoveTap(other);
  guest_->Print("", kOut, "\nmore\n");
  EXPECT_TRUE(tap->Await("held line\nmore\n"));
  EXPECT_TRUE(other->Await("held line"));
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  EXPECT_EQ(tap->ends(), 2);
  auto late = std::make_shared<RecordingTap>();
  RunInLoop(loop_, [&] { pump_->AddTap(late); });
  EXPECT_EQ(late->ends(), 2);
}

// A guest that lies is found out, and said so.
struct LieCase {
  std::string name;
  std::function<void(const agent::v1::ReadOutputRequest&, agent::v1::ReadOutputResponse*)> lie;
  std::string error;
};
class LyingGuestTest : public OutputPumpTest, public testing::WithParamInterface<LieCase> {};

TEST_P(LyingGuestTest, EndsThePump) {
  guest_->LieAboutOutput([](const agent::v1::ReadOutputRequest& request) {
    agent::v1::ReadOutputResponse response;
    response.set_offset(request.offset());
    GetParam().lie(request, &response);
    return response;
  });
  Start(Options());
  EXPECT_THAT(Done(), StatusIs(absl::StatusCode::kDataLoss, GetParam().error));
  EXPECT_THAT(Done(), StatusIs(absl::StatusCode::kDataLoss, "sandbox s1"));
}

INSTANTIATE_TEST_SUITE_P(Lies, LyingGuestTest,
                         testing::Values(LieCase{"Flood",
                                                 [](const auto& request, auto* response) {
                                                   response->set_data(std::string(request.max_bytes() + 1, 'x'));
                                                 },
                                                 "bytes of data"},
                                         LieCase{"JumpsAhead",
                                                 [](const auto& request, auto* response) {
                                                   response->set_data("x\n");
                                                   if (request.offset() > 4) response->set_offset(request.offset() + 1);
                                                 },
                                                 "at offset"},
                                         LieCase{"GoesBack",
                                                 [](const auto& request, auto* response) {
                                                   response->set_data("x\n");
                                                   if (request.offset() > 4) response->set_offset(0);
                                                 },
                                                 "at offset 0"},
                                         LieCase{"HugeOffset",
                                                 [](const auto&, auto* response) {
                                                   response->set_data("x\n");
                                                   response->set_offset(~uint64_t{0});
                                                 },
                                                 "no stream"},
                                         LieCase{"NeverWaits", [](const auto&, auto*) {}, "without waiting"}),
                         [](const auto& info) { return info.param.name; });

class PlainKataTest : public OutputPumpTest {
 protected:
  PlainKataTest() : OutputPumpTest(MemoryGuest::Kind::kPlainKata) {}
};

TEST_F(PlainKataTest, FallsBackToPlainReads) {
  Start(Options());
  guest_->Print("", kOut, "one\ntw");
  EXPECT_TRUE(sink_->Await(kOut, "one\ntw"));
  guest_->FailNext("ReadStdout", absl::UnavailableError("connection broken"), 3);
  guest_->Print("", kOut, "o\n");
  guest_->Print("", kErr, "error\n");
  EXPECT_TRUE(sink_->Await(kOut, "one\ntwo\n"));
  guest_->Exit("", 0);
  EXPECT_OK(Done());
  EXPECT_EQ(sink_->text(kErr), "error\n");
  EXPECT_EQ(sink_->ends(kOut), 1);
}

TEST_F(PlainKataTest, AForgottenProcessHasEnded) {
  guest_->FailNext("ReadStdout", absl::NotFoundError("no such process"));
  guest_->FailNext("ReadStderr", absl::NotFoundError("no such process"));
  Start(Options());
  EXPECT_OK(Done());
}

}  // namespace
}  // namespace podvisor
