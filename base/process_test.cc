#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::HasSubstr;

absl::Time Soon() { return absl::Now() + absl::Seconds(20); }

TEST(ProcessTest, MissingProgramIsAnErrorThatNamesIt) {
  const auto process = Spawn({.argv = {"/no/such/program"}});
  EXPECT_EQ(process.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(process.status().message()), HasSubstr("/no/such/program: exec"));
}

TEST(ProcessTest, FailedStepIsNamed) {
  const auto process = Spawn({.argv = {"/bin/true"}, .steps = {{"join the cgroup", [] { return EACCES; }}}});
  EXPECT_EQ(process.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(process.status().message()), HasSubstr("join the cgroup"));
}

TEST(ProcessTest, ExitCodeAndSignal) {
  auto exits = Spawn({.argv = {"/bin/sh", "-c", "exit 7"}});
  ASSERT_TRUE(exits.ok());
  EXPECT_EQ(exits->Wait(Soon())->code, 7);
  auto killed = Spawn({.argv = {"/bin/sleep", "1000"}});
  ASSERT_TRUE(killed.ok());
  ASSERT_TRUE(killed->Signal(SIGKILL).ok());
  EXPECT_EQ(killed->Wait(Soon())->signal, SIGKILL);
  EXPECT_TRUE(killed->Signal(SIGKILL).ok()) << "an ended process is no error";
}

TEST(ProcessTest, WaitHasADeadline) {
  auto process = Spawn({.argv = {"/bin/sleep", "1000"}});
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(process->Wait(absl::Now()).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(process->Signal(SIGKILL).ok());
  EXPECT_TRUE(process->Wait(Soon()).ok());
}

TEST(ProcessTest, AdoptFindsOnlyTheSameProcess) {
  auto process = Spawn({.argv = {"/bin/sleep", "1000"}});
  ASSERT_TRUE(process.ok());
  ProcessIdentity other = process->identity();
  other.start_ticks += 1;
  EXPECT_EQ(Process::Adopt(other).status().code(), absl::StatusCode::kNotFound);
  auto adopted = Process::Adopt(process->identity());
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  ASSERT_TRUE(adopted->Signal(SIGKILL).ok());
  EXPECT_TRUE(process->Wait(Soon()).ok());
  EXPECT_EQ(Process::Adopt(process->identity()).status().code(), absl::StatusCode::kNotFound);
}

TEST(ProcessTest, ChildGetsOnlyTheDescriptorsThatWereNamed) {
  // Not close-on-exec on purpose: a library may leave such a one around.
  const int stray = ::open("/dev/null", O_RDONLY);
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  ASSERT_TRUE(stray != 7 && fds[0] != 7 && fds[1] != 7);
  // Asked for by number: a listing would show what the shell itself opens meanwhile.
  const std::string script =
      absl::StrCat("for fd in 7 ", stray, " ", fds[0], " ", fds[1], "; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; :");
  const auto result = RunCommand({.argv = {"/bin/sh", "-c", script}, .pass_fds = {{fds[1], 7}}}, "", Soon());
  ::close(stray);
  ::close(fds[0]);
  ::close(fds[1]);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "7\n");
}

TEST(RunCommandTest, PassesInputAndBothOutputs) {
  const std::string large(300000, 'x');
  const auto result = RunCommand({.argv = {"/bin/sh", "-c", "cat; echo oops >&2; exit 3"}}, large, Soon());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, large);
  EXPECT_EQ(result->err, "oops\n");
  EXPECT_EQ(result->exit.code, 3);
}

TEST(RunCommandTest, OutputIsBounded) {
  const auto result = RunCommand({.argv = {"/bin/sh", "-c", "head -c 100000 /dev/zero"}}, "", Soon(), 1000);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out.size(), 1000u);
}

TEST(RunCommandTest, DeadlineKillsTheWholeGroup) {
  const auto result =
      RunCommand({.argv = {"/bin/sh", "-c", "sleep 1000 & sleep 1000"}}, "", absl::Now() + absl::Milliseconds(100));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("/bin/sh"));
}

TEST(RunCommandTest, GrandchildThatKeepsThePipesDoesNotHoldUsUp) {
  const auto result = RunCommand({.argv = {"/bin/sh", "-c", "sleep 5 & echo done"}}, "", Soon());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "done\n");
}

}  // namespace
}  // namespace podvisor
