#include "podmanager/io/exec_session.h"

#include <csignal>
#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/io/run_in_loop.h"
#include "podmanager/io/testing/memory_guest.h"

namespace podvisor {
namespace {

constexpr auto kOut = OutputStream::kStdout;
constexpr auto kErr = OutputStream::kStderr;

class ExecSessionTest : public testing::TestWithParam<MemoryGuest::Kind> {
 protected:
  ExecSessionTest() : guest_(std::make_shared<MemoryGuest>(loop_, GetParam())) {
    options_.sandbox_id = "s1";
    options_.container_id = "c1";
    options_.exec_id = "e1";
    options_.process.add_args("program");
    options_.deadline = absl::Now() + absl::Seconds(60);
  }
  ~ExecSessionTest() override {
    guest_->Close();
    RunInLoop(loop_, [] {});
  }

  absl::StatusOr<ExecResult> Run() { return RunExecSync(loop_, guest_, options_); }
  bool plain() const { return GetParam() == MemoryGuest::Kind::kPlainKata; }
  bool one_call() const { return GetParam() == MemoryGuest::Kind::kPodvisor; }
  std::string start() const { return one_call() ? "RunExec" : "ExecProcess"; }

  EventLoop loop_{"test"};
  std::shared_ptr<MemoryGuest> guest_;
  ExecSyncOptions options_;
};

TEST_P(ExecSessionTest, CollectsOutputAndCode) {
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, "to stdout");
    guest_->Print(id, kErr, "to stderr\n");
    guest_->Exit(id, 7);
  });
  auto result = Run();
  ASSERT_OK(result);
  EXPECT_EQ(result->out, "to stdout");
  EXPECT_EQ(result->err, "to stderr\n");
  EXPECT_EQ(result->exit_code, 7);
  EXPECT_TRUE(guest_->stdin_closed("e1"));
  if (!one_call()) {
    ASSERT_TRUE(guest_->AwaitCalls("ReleaseExec", 1));
  }
  EXPECT_EQ(guest_->calls("ExecProcess"), one_call() ? 0 : 1);
  RunInLoop(loop_, [] {});
  EXPECT_EQ(guest_->released("e1"), !plain());
  EXPECT_EQ(guest_->signal("e1"), 0);
}

TEST_P(ExecSessionTest, OutputIsBounded) {
  options_.output_limit = 1000;
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, std::string(300000, 'x'));
    guest_->Exit(id, 0);
  });
  auto result = Run();
  ASSERT_OK(result);
  EXPECT_EQ(result->out, std::string(1000, 'x'));
  EXPECT_EQ(guest_->acknowledged("e1", kOut), plain() ? 300000u : guest_->acknowledged("e1", kOut));
}

TEST_P(ExecSessionTest, WhatFitsInOneAnswerIsBoundedToo) {
  options_.output_limit = 10;
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, std::string(1000, 'x'));
    guest_->Print(id, kErr, "short");
    guest_->Exit(id, 0);
  });
  auto result = Run();
  ASSERT_OK(result);
  EXPECT_EQ(result->out, std::string(10, 'x'));
  EXPECT_EQ(result->err, "short");
}

TEST_P(ExecSessionTest, MuchOutputIsReadWhole) {
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, std::string(300'000, 'x') + "end");
    guest_->Exit(id, 5);
  });
  auto result = Run();
  ASSERT_OK(result);
  EXPECT_EQ(result->out.size(), 300'003u);
  EXPECT_EQ(result->out.substr(300'000), "end");
  EXPECT_EQ(result->exit_code, 5);
}

TEST_P(ExecSessionTest, TimeOutKills) {
  options_.timeout = absl::Milliseconds(50);
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDeadlineExceeded, "container c1 of sandbox s1: not ended after 50ms"));
  ASSERT_TRUE(guest_->AwaitCalls("ReleaseExec", 1));
  RunInLoop(loop_, [] {});
  EXPECT_EQ(guest_->signal("e1"), SIGKILL);
  EXPECT_EQ(guest_->released("e1"), !plain());
}

TEST_P(ExecSessionTest, TheCallersDeadlineKillsToo) {
  options_.deadline = absl::Now() + absl::Milliseconds(50);
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDeadlineExceeded, "the caller's deadline"));
  ASSERT_TRUE(guest_->AwaitCalls("SignalProcess", 1));
}

TEST_P(ExecSessionTest, AMissingProgramIsTheAgentsError) {
  guest_->FailNext(start(), absl::NotFoundError("exec: \"program\": executable file not found in $PATH"));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kNotFound, "executable file not found in $PATH"));
  RunInLoop(loop_, [] {});
  EXPECT_EQ(guest_->calls("SignalProcess"), 0);
}

TEST_P(ExecSessionTest, ALostAnswerLeavesNoProcess) {
  guest_->BreakNext(start(), MemoryGuest::Loss::kAnswer);
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_TRUE(guest_->AwaitCalls("ReleaseExec", 1));
  EXPECT_EQ(guest_->signal("e1"), SIGKILL);
}

TEST_P(ExecSessionTest, BrokenConnectionsAreSurvived) {
  guest_->BreakNext("WaitExit", MemoryGuest::Loss::kAnswer);
  guest_->BreakNext("ReadOutput", MemoryGuest::Loss::kAnswer);
  guest_->FailNext("WaitProcess", absl::UnavailableError("connection broken"));
  const std::string text = std::string(100'000, 'x') + "\n";
  guest_->OnExec([this, text](const std::string& id) {
    guest_->Print(id, kOut, text);
    guest_->Exit(id, 0);
  });
  auto result = Run();
  ASSERT_OK(result);
  EXPECT_EQ(result->out, text);
}

// Its child still has the pipe: the result does not wait for ever.
TEST_P(ExecSessionTest, OutputThatStaysOpenIsLeft) {
  options_.drain = absl::Milliseconds(20);
  guest_->OnExec([this](const std::string& id) {
    guest_->Print(id, kOut, "text\n");
    guest_->ExitLeavingChild(id, 3);
  });
  auto result = Run();
  ASSERT_OK(result);
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out, "text\n");
}

TEST_P(ExecSessionTest, ErrorsOfWaitingAreReturned) {
  guest_->FailNext(plain() ? "WaitProcess" : "WaitExit", absl::NotFoundError("no such exec"));
  // More than one answer holds: the process is followed.
  guest_->OnExec([this](const std::string& id) { guest_->Print(id, kOut, std::string(100'000, 'x')); });
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kNotFound, "no such exec"));
}

INSTANTIATE_TEST_SUITE_P(Agents, ExecSessionTest,
                         testing::Values(MemoryGuest::Kind::kPodvisor, MemoryGuest::Kind::kOlderPodvisor,
                                         MemoryGuest::Kind::kPlainKata),
                         [](const auto& info) -> std::string {
                           if (info.param == MemoryGuest::Kind::kPodvisor) return "Podvisor";
                           return info.param == MemoryGuest::Kind::kOlderPodvisor ? "OlderPodvisor" : "PlainKata";
                         });

}  // namespace
}  // namespace podvisor
