// A daemon that is started again on what one before it left.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/ids.h"
#include "podmanager/paths.h"
#include "podmanager/record_store.h"
#include "podmanager/testing/pods_test.h"

namespace podvisor {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RecoveryTest : public PodsTest {
 protected:
  RecoveryTest() { StartDaemon(); }

  // Waits for what recovery does in tasks.
  void Settle() { pods_->Drain(Soon()); }

  SandboxRecord Record(const std::string& id) {
    SandboxRecord record;
    EXPECT_TRUE(record.ParseFromString(db_->Get("sandboxes", id).value()));
    return record;
  }
  ContainerRecord Container(const std::string& id) {
    ContainerRecord record;
    EXPECT_TRUE(record.ParseFromString(db_->Get("containers", id).value()));
    return record;
  }
  // As if the daemon had been killed with its record in this phase, and everything else as it is now.
  void LeaveIn(const std::string& id, SandboxRecord::Phase phase) {
    SandboxRecord record = Record(id);
    record.set_phase(phase);
    if (phase == SandboxRecord::CREATING) record.clear_vm_record();
    ASSERT_OK(db_->Put("sandboxes", id, record.SerializeAsString()));
  }
  void LeaveIn(const std::string& id, ContainerRecord::Phase phase) {
    ContainerRecord record = Container(id);
    record.set_phase(phase);
    ASSERT_OK(db_->Put("containers", id, record.SerializeAsString()));
  }
};

TEST_F(RecoveryTest, RunningPodIsTakenOver) {
  SandboxConfig config = Pod("web");
  config.set_log_directory(dir_ + "/logs");
  const std::string sandbox = Run(config).value();
  ContainerConfig reader = Program("c", {"cat"});
  reader.set_stdin(true);  // else it would read the end of its stdin and exit
  const std::string id = Running(sandbox, reader);
  ASSERT_OK(Agent(sandbox)->WriteOutput(id, "", FakeProcess::Stream::kStdout, "before\n"));
  StopDaemon();
  EXPECT_THAT(host_->LiveVms(), ElementsAre(sandbox)) << "VMs outlive the daemon";
  ASSERT_OK(Agent(sandbox)->WriteOutput(id, "", FakeProcess::Stream::kStdout, "meanwhile\n"));
  StartDaemon();
  EXPECT_EQ(Run(config).value(), sandbox) << "ready, under its name";
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->state, ContainerState::kRunning);
  EXPECT_EQ(pods_->ExecSync(id, {"echo", "hi"}, absl::ZeroDuration(), Soon())->out, "hi\n");
  ASSERT_OK(Agent(sandbox)->ExitProcess(id, "", 7));
  const ContainerStatus status = AwaitState(id, ContainerState::kExited);
  EXPECT_EQ(status.exit_code, 7);
  std::ostringstream log;
  log << std::ifstream(status.log_path).rdbuf();
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(log.str(), '\n', absl::SkipEmpty())) {
    lines.emplace_back(line.substr(line.rfind(' ') + 1));
  }
  EXPECT_THAT(lines, ElementsAre("before", "meanwhile")) << "each line once";
  EXPECT_OK(pods_->RemovePodSandbox(sandbox, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, ExitWhileNoDaemonRanIsLearnt) {
  const std::string sandbox = ReadyPod("web");
  const std::string id = Running(sandbox, Program("c", {"sleep", "inf"}));
  StopDaemon();
  ASSERT_OK(Agent(sandbox)->ExitProcess(id, "", 3));
  StartDaemon();
  const ContainerStatus status = AwaitState(id, ContainerState::kExited);
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_GT(status.finished_at, status.started_at);
}

TEST_F(RecoveryTest, VmThatEndedMeanwhileIsNotReadyWithItsReason) {
  const std::string sandbox = ReadyPod("web");
  const std::string running = Running(sandbox, Program("a", {"sleep", "inf"}));
  const std::string created = Created(sandbox, Program("b", {"true"}));
  StopDaemon();
  ASSERT_OK(host_->KillVm(sandbox, "power cut"));
  StartDaemon();
  auto status = pods_->GetSandbox(sandbox, Detail::kBrief);
  ASSERT_OK(status);
  EXPECT_EQ(status->state, SandboxState::kNotReady);
  EXPECT_THAT(status->reason, HasSubstr("while podvisord was not running"));
  for (const std::string& id : {running, created}) {
    auto container = pods_->GetContainer(id, Detail::kBrief);
    EXPECT_EQ(container->state, ContainerState::kExited);
    EXPECT_EQ(container->exit_code, 255);
    EXPECT_EQ(container->reason, "SandboxDied");
  }
  EXPECT_OK(pods_->StopPodSandbox(sandbox, Soon()));
  EXPECT_OK(pods_->RemovePodSandbox(sandbox, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, HalfMadeSandboxIsUndoneAndARetryGetsANewOne) {
  const std::string sandbox = ReadyPod("web");
  StopDaemon();
  LeaveIn(sandbox, SandboxRecord::CREATING);
  network_.failpoints().Hold("Teardown");
  StartDaemon();
  EXPECT_THAT(pods_->ListSandboxes({}), IsEmpty());
  network_.failpoints().Release("Teardown");
  auto again = Run(Pod("web"));
  ASSERT_OK(again);
  EXPECT_NE(*again, sandbox);
  EXPECT_THAT(host_->LiveVms(), ElementsAre(*again));
  EXPECT_OK(pods_->RemovePodSandbox(*again, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, HalfMadeSandboxThatCannotBeUndoneIsListed) {
  const std::string sandbox = ReadyPod("web");
  StopDaemon();
  LeaveIn(sandbox, SandboxRecord::CREATING);
  network_.failpoints().FailNext("Teardown", absl::UnavailableError("plugin crashed"), 6);
  StartDaemon();
  EXPECT_THAT(AwaitState(sandbox, SandboxState::kNotReady).reason, HasSubstr("plugin crashed"));
  EXPECT_OK(pods_->RemovePodSandbox(sandbox, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, StopAndRemovalAreFinished) {
  const std::string stopping = ReadyPod("a"), removing = ReadyPod("b");
  const std::string container = Running(stopping, Program("c", {"sleep", "inf"}));
  Created(removing, Program("d", {"true"}));
  ASSERT_OK(pods_->StopPodSandbox(removing, Soon()));
  StopDaemon();
  LeaveIn(stopping, SandboxRecord::STOPPING);
  LeaveIn(removing, SandboxRecord::REMOVING);
  StartDaemon();
  Settle();
  EXPECT_THAT(host_->LiveVms(), IsEmpty());
  EXPECT_THAT(network_.Namespaces(), IsEmpty());
  ASSERT_THAT(pods_->ListSandboxes({}), SizeIs(1));
  EXPECT_EQ(Record(stopping).phase(), SandboxRecord::STOPPED);
  EXPECT_EQ(pods_->GetContainer(container, Detail::kBrief)->exit_code, 137);
  StartDaemon();
  EXPECT_OK(pods_->RemovePodSandbox(stopping, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, StoppedAndFailedSandboxesStayAsTheyAre) {
  const std::string stopped = ReadyPod("a"), failed = ReadyPod("b");
  const std::string container = Running(failed, Program("c", {"sleep", "inf"}));
  ASSERT_OK(pods_->StopPodSandbox(stopped, Soon()));
  StopDaemon();
  LeaveIn(failed, SandboxRecord::FAILED);  // killed before the containers were written
  StartDaemon();
  EXPECT_THAT(pods_->ListSandboxes({.state = SandboxState::kNotReady}), SizeIs(2));
  EXPECT_EQ(pods_->GetContainer(container, Detail::kBrief)->reason, "SandboxDied");
  EXPECT_OK(pods_->RemovePodSandbox(failed, Soon())) << "its VM may still live";
  EXPECT_OK(pods_->RemovePodSandbox(stopped, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, HalfMadeContainerIsUndone) {
  const std::string sandbox = ReadyPod("web");
  const std::string id = Created(sandbox, Program("c", {"true"}));
  StopDaemon();
  LeaveIn(id, ContainerRecord::CREATING);
  StartDaemon();
  auto again = pods_->CreateContainer(sandbox, Program("c", {"true"}), Soon());
  ASSERT_OK(again);
  EXPECT_NE(*again, id);
  EXPECT_THAT(Agent(sandbox)->Containers(), ElementsAre(*again));
  EXPECT_THAT(images_.LeaseHolders(), ElementsAre(*again));
}

TEST_F(RecoveryTest, InterruptedStartIsAskedFor) {
  const std::string sandbox = ReadyPod("web");
  const std::string started = Running(sandbox, Program("a", {"sleep", "inf"}));
  const std::string not_started = Created(sandbox, Program("b", {"sleep", "inf"}));
  StopDaemon();
  LeaveIn(started, ContainerRecord::STARTING);
  LeaveIn(not_started, ContainerRecord::STARTING);
  StartDaemon();
  Settle();
  EXPECT_EQ(Container(started).phase(), ContainerRecord::RUNNING);
  EXPECT_EQ(Container(not_started).phase(), ContainerRecord::CREATED);
  StartDaemon();
  EXPECT_OK(pods_->StartContainer(not_started, Soon()));
  EXPECT_OK(pods_->StopContainer(started, absl::Seconds(30), Soon()));
  EXPECT_EQ(pods_->GetContainer(started, Detail::kBrief)->exit_code, 143);
}

TEST_F(RecoveryTest, RemovalOfAContainerIsFinished) {
  const std::string sandbox = ReadyPod("web");
  const std::string id = Created(sandbox, Program("c", {"true"}));
  StopDaemon();
  LeaveIn(id, ContainerRecord::REMOVING);
  StartDaemon();
  Settle();
  EXPECT_THAT(pods_->ListContainers({}), IsEmpty());
  EXPECT_THAT(images_.LeaseHolders(), IsEmpty());
  EXPECT_THAT(host_->View(sandbox)->disks, IsEmpty());
}

TEST_F(RecoveryTest, WhatHasNoRecordIsRemoved) {
  const std::string sandbox = ReadyPod("web");
  Running(sandbox, Program("c", {"sleep", "inf"}));
  StopDaemon();
  ASSERT_OK(db_->Delete("sandboxes", sandbox));
  fs::create_directories(SandboxesDir(options_.run_dir) + "/not-an-id");
  StartDaemon();
  Settle();
  fs::remove(SandboxesDir(options_.run_dir) + "/not-an-id");  // was left alone
  EXPECT_THAT(pods_->ListContainers({}), IsEmpty());
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, DamagedRecordCostsThatSandboxOnly) {
  const std::string good = ReadyPod("good"), bad = ReadyPod("bad");
  StopDaemon();
  ASSERT_OK(db_->Put("sandboxes", bad, "\xff\xff not a record"));
  StartDaemon();
  Settle();
  EXPECT_THAT(pods_->ListSandboxes({}), SizeIs(1));
  EXPECT_THAT(host_->LiveVms(), ElementsAre(good));
  EXPECT_THAT(network_.Namespaces(), ElementsAre(good));
}

TEST_F(RecoveryTest, HandlerThatIsNoLongerConfigured) {
  options_.handlers[""] = RuntimeHandler();
  options_.handlers["fast"] = RuntimeHandler();
  StartDaemon();
  const std::string sandbox = pods_->RunPodSandbox(Pod("web"), "fast", Soon()).value();
  StopDaemon();
  options_.handlers.erase("fast");
  StartDaemon();
  EXPECT_THAT(pods_->GetSandbox(sandbox, Detail::kBrief)->reason, HasSubstr("\"fast\""));
  EXPECT_OK(pods_->RemovePodSandbox(sandbox, Soon()));
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, GuestThatHangsDoesNotHoldUpTheStart) {
  const std::string sandbox = ReadyPod("web");
  const std::string id = Running(sandbox, Program("c", {"sleep", "inf"}));
  StopDaemon();
  Agent(sandbox)->Freeze();
  StartDaemon();
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->state, ContainerState::kRunning);
  Agent(sandbox)->Thaw();
  ASSERT_OK(Agent(sandbox)->ExitProcess(id, "", 0));
  AwaitState(id, ContainerState::kExited);
}

TEST_F(RecoveryTest, ShutdownInTheMiddleOfAStopLosesNothing) {
  const std::string sandbox = ReadyPod("web");
  const std::string id = Running(sandbox, Program("c", {"stubborn"}));
  EXPECT_THAT(pods_->StopContainer(id, absl::Hours(1), absl::Now()), StatusIs(StatusCode::kDeadlineExceeded));
  StopDaemon();  // does not wait for an hour
  StartDaemon();
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->state, ContainerState::kRunning);
  EXPECT_OK(pods_->StopContainer(id, absl::ZeroDuration(), Soon()));
}

TEST_F(RecoveryTest, DrainedDaemonRefusesNewWork) {
  pods_->Drain(absl::Now());
  EXPECT_THAT(Run(Pod("web")), StatusIs(StatusCode::kUnavailable, "shutting down"));
}

}  // namespace
}  // namespace podvisor
