// Containers: create, start, exit, stop, remove, exec, resources, logs.
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/testing/pods_test.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Content(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

class ContainerTest : public PodsTest {
 protected:
  ContainerTest() {
    StartDaemon();
    SandboxConfig config = Pod("web");
    config.set_log_directory(dir_ + "/logs");
    sandbox_ = Run(config).value_or("");
  }

  std::string sandbox_;
};

TEST_F(ContainerTest, RunsToItsEndWithACompleteLog) {
  const std::string id = Created(sandbox_, Program("hello", {"echo", "hello", "world"}));
  auto created = pods_->GetContainer(id, Detail::kVerbose);
  ASSERT_OK(created);
  EXPECT_EQ(created->state, ContainerState::kCreated);
  EXPECT_EQ(created->started_at, absl::InfinitePast());
  EXPECT_EQ(created->image_id, "sha256:busybox");
  EXPECT_EQ(created->log_path, dir_ + "/logs/hello.log");
  EXPECT_THAT(created->info["info"], HasSubstr("sandboxID"));
  EXPECT_THAT(images_.LeaseHolders(), ElementsAre(id));

  ASSERT_OK(pods_->StartContainer(id, Soon()));
  const ContainerStatus exited = AwaitState(id, ContainerState::kExited);
  EXPECT_EQ(exited.exit_code, 0);
  EXPECT_EQ(exited.reason, "Completed");
  EXPECT_LT(exited.created_at, exited.started_at);
  EXPECT_LT(exited.started_at, exited.finished_at);
  EXPECT_THAT(Content(exited.log_path), HasSubstr("stdout F hello world\n")) << "complete when EXITED is shown";

  EXPECT_OK(pods_->RemoveContainer(id, Soon()));
  EXPECT_THAT(pods_->GetContainer(id, Detail::kBrief), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(images_.LeaseHolders(), IsEmpty());
  EXPECT_THAT(Agent(sandbox_)->Containers(), IsEmpty());
  EXPECT_THAT(host_->View(sandbox_)->disks, IsEmpty());
  EXPECT_OK(pods_->RemoveContainer(id, Soon())) << "again";
  EXPECT_THAT(db_->Scan("containers").value(), IsEmpty());
  EXPECT_THAT(db_->Scan("log_checkpoints").value(), IsEmpty());
}

TEST_F(ContainerTest, ExitCodesAndReasons) {
  struct Case {
    std::vector<std::string> command;
    int code;
    const char* reason;
  };
  for (const Case& test :
       {Case{{"true"}, 0, "Completed"}, Case{{"false"}, 1, "Error"}, Case{{"exit", "42"}, 42, "Error"}}) {
    const std::string id = Running(sandbox_, Program(test.command.back(), test.command));
    const ContainerStatus status = AwaitState(id, ContainerState::kExited);
    EXPECT_EQ(status.exit_code, test.code);
    EXPECT_EQ(status.reason, test.reason);
  }
  const std::string id = Running(sandbox_, Program("oom", {"sleep", "inf"}));
  ASSERT_OK(Agent(sandbox_)->OomKill(id));
  const ContainerStatus status = AwaitState(id, ContainerState::kExited);
  EXPECT_EQ(status.exit_code, 137);
  EXPECT_EQ(status.reason, "OOMKilled");
}

TEST_F(ContainerTest, ContainersOfOneImageShareADisk) {
  const std::string a = Created(sandbox_, Program("a", {"true"})), b = Created(sandbox_, Program("b", {"true"}));
  EXPECT_THAT(host_->View(sandbox_)->disks, SizeIs(1));
  EXPECT_OK(pods_->RemoveContainer(a, Soon()));
  EXPECT_THAT(host_->View(sandbox_)->disks, SizeIs(1));
  EXPECT_OK(pods_->RemoveContainer(b, Soon()));
  EXPECT_THAT(host_->View(sandbox_)->disks, IsEmpty());
}

TEST_F(ContainerTest, SameConfigurationFindsTheSameContainer) {
  const std::string id = Created(sandbox_, Program("c", {"sleep", "inf"}));
  EXPECT_EQ(Created(sandbox_, Program("c", {"sleep", "inf"})), id);
  EXPECT_THAT(pods_->CreateContainer(sandbox_, Program("c", {"true"}), Soon()),
              StatusIs(StatusCode::kAlreadyExists, id));
  ASSERT_OK(pods_->StartContainer(id, Soon()));
  EXPECT_THAT(pods_->CreateContainer(sandbox_, Program("c", {"sleep", "inf"}), Soon()),
              StatusIs(StatusCode::kAlreadyExists, "running"));
  ContainerConfig next = Program("c", {"sleep", "inf"});
  next.mutable_metadata()->set_attempt(1);
  EXPECT_NE(Created(sandbox_, next), id);
}

TEST_F(ContainerTest, RetryOfACreateAfterATimeoutFindsTheOneUnderWay) {
  images_.failpoints().Hold("Lease");
  EXPECT_THAT(pods_->CreateContainer(sandbox_, Program("c", {"true"}), absl::Now() + absl::Milliseconds(1)),
              StatusIs(StatusCode::kDeadlineExceeded));
  ASSERT_TRUE(images_.failpoints().AwaitHeld("Lease"));
  EXPECT_THAT(pods_->ListContainers({}), IsEmpty());
  std::thread retry([&] { Created(sandbox_, Program("c", {"true"})); });
  images_.failpoints().Release("Lease");
  retry.join();
  EXPECT_THAT(pods_->ListContainers({}), SizeIs(1));
  EXPECT_THAT(Agent(sandbox_)->Containers(), SizeIs(1));
}

TEST_F(ContainerTest, EveryFailedStepOfACreateIsUndone) {
  const absl::Status injected = absl::UnavailableError("injected");
  const std::function<void()> failures[] = {
      [&] { images_.failpoints().FailNext("Lease", injected); },
      [&] { host_->failpoints().FailNext(MockCall::kAttachDisk, injected); },
      [&] { Agent(sandbox_)->FailNext("CreateContainer", injected); },
  };
  for (const auto& fail : failures) {
    fail();
    EXPECT_THAT(pods_->CreateContainer(sandbox_, Program("c", {"true"}), Soon()),
                StatusIs(StatusCode::kUnavailable, "injected"));
    EXPECT_THAT(pods_->ListContainers({}), IsEmpty());
    EXPECT_THAT(images_.LeaseHolders(), IsEmpty());
    EXPECT_THAT(host_->View(sandbox_)->disks, IsEmpty());
    EXPECT_THAT(Agent(sandbox_)->Containers(), IsEmpty());
    EXPECT_THAT(db_->Scan("containers").value(), IsEmpty());
  }
  EXPECT_OK(pods_->CreateContainer(sandbox_, Program("c", {"true"}), Soon()));
}

TEST_F(ContainerTest, UndoThatFailsStaysListedUntilItIsRemoved) {
  Agent(sandbox_)->FailNext("CreateContainer", absl::InternalError("injected"));
  images_.failpoints().FailNext("Release", absl::UnavailableError("disk"));
  EXPECT_THAT(pods_->CreateContainer(sandbox_, Program("c", {"true"}), Soon()),
              StatusIs(StatusCode::kInternal, "disk"));
  const auto listed = pods_->ListContainers({});
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_EQ(listed[0].state, ContainerState::kExited);
  EXPECT_OK(pods_->RemoveContainer(listed[0].id, Soon()));
  EXPECT_THAT(images_.LeaseHolders(), IsEmpty());
}

TEST_F(ContainerTest, RefusesWhatIsWrong) {
  ContainerConfig config = Program("c", {"true"});
  config.set_image("missing");
  EXPECT_THAT(pods_->CreateContainer(sandbox_, config, Soon()), StatusIs(StatusCode::kNotFound, "missing"));
  EXPECT_THAT(pods_->CreateContainer("feed", Program("c", {"true"}), Soon()),
              StatusIs(StatusCode::kNotFound, "sandbox feed"));
  config = Program("c", {"true"});
  config.mutable_run_as()->set_username("nobody-there");
  EXPECT_THAT(pods_->CreateContainer(sandbox_, config, Soon()), StatusIs(StatusCode::kNotFound, "nobody-there"));
  config = Program("c", {"true"});
  config.set_stop_signal("SIGNOPE");
  EXPECT_THAT(pods_->CreateContainer(sandbox_, config, Soon()), StatusIs(StatusCode::kInvalidArgument, "SIGNOPE"));
  config = Program("c", {"true"});
  config.add_mounts()->set_host_path("/tmp");
  config.mutable_mounts(0)->set_container_path("/host");
  EXPECT_THAT(pods_->CreateContainer(sandbox_, config, Soon()), StatusIs(StatusCode::kUnimplemented, "mounts"));
  EXPECT_THAT(pods_->StartContainer("feed", Soon()), StatusIs(StatusCode::kNotFound, "feed"));
  EXPECT_THAT(pods_->ExecSync("feed", {"true"}, absl::ZeroDuration(), Soon()), StatusIs(StatusCode::kNotFound));
  EXPECT_OK(pods_->StopContainer("feed", absl::Seconds(1), Soon()));
  EXPECT_THAT(pods_->ListContainers({}), IsEmpty());
  EXPECT_THAT(images_.LeaseHolders(), IsEmpty());
}

TEST_F(ContainerTest, MissingProgramIsAStartError) {
  const std::string id = Created(sandbox_, Program("c", {"notfound"}));
  EXPECT_THAT(pods_->StartContainer(id, Soon()), StatusIs(StatusCode::kInternal, "notfound"));
  auto status = pods_->GetContainer(id, Detail::kBrief);
  ASSERT_OK(status);
  EXPECT_EQ(status->state, ContainerState::kExited);
  EXPECT_EQ(status->exit_code, 128);
  EXPECT_EQ(status->reason, "StartError");
  EXPECT_THAT(status->message, HasSubstr("notfound"));
  EXPECT_THAT(pods_->StartContainer(id, Soon()), StatusIs(StatusCode::kFailedPrecondition, "exited"));
  EXPECT_OK(pods_->RemoveContainer(id, Soon()));
}

TEST_F(ContainerTest, StartSurvivesABrokenConnection) {
  const std::string id = Created(sandbox_, Program("c", {"sleep", "inf"}));
  Agent(sandbox_)->DropConnectionAtNext("StartContainer");
  EXPECT_OK(pods_->StartContainer(id, Soon()));
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->state, ContainerState::kRunning);
  EXPECT_EQ(Agent(sandbox_)->calls("StartContainer"), 1) << "it was carried out: not again";
}

TEST_F(ContainerTest, StopEndsAWillingProgramWithItsSignal) {
  const std::string id = Running(sandbox_, Program("c", {"sleep", "inf"}));
  EXPECT_OK(pods_->StopContainer(id, absl::Seconds(60), Soon()));
  auto status = pods_->GetContainer(id, Detail::kBrief);
  ASSERT_OK(status);
  EXPECT_EQ(status->state, ContainerState::kExited);
  EXPECT_EQ(status->exit_code, 143);
  EXPECT_EQ(status->reason, "Error");
  EXPECT_OK(pods_->StopContainer(id, absl::Seconds(60), Soon())) << "again";
}

TEST_F(ContainerTest, StopKillsAStubbornProgram) {
  const std::string id = Running(sandbox_, Program("c", {"stubborn"}));
  EXPECT_OK(pods_->StopContainer(id, absl::Milliseconds(50), Soon()));
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->exit_code, 137);
}

TEST_F(ContainerTest, StopGoesOnAfterItsCallerGaveUp) {
  const std::string id = Running(sandbox_, Program("c", {"stubborn"}));
  EXPECT_THAT(pods_->StopContainer(id, absl::Milliseconds(100), absl::Now()), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_EQ(AwaitState(id, ContainerState::kExited).exit_code, 137);
}

TEST_F(ContainerTest, StopWithoutGraceOvertakesOneWithLongGrace) {
  const std::string id = Running(sandbox_, Program("c", {"stubborn"}));
  std::thread patient([&] { EXPECT_OK(pods_->StopContainer(id, absl::Hours(1), Soon())); });
  ASSERT_TRUE(Agent(sandbox_)->AwaitCalls("SignalProcess", 1, absl::Minutes(1)));
  EXPECT_OK(pods_->StopContainer(id, absl::ZeroDuration(), Soon()));
  patient.join();
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->exit_code, 137);
}

TEST_F(ContainerTest, RemoveKillsARunningContainer) {
  const std::string id = Running(sandbox_, Program("c", {"stubborn"}));
  EXPECT_OK(pods_->RemoveContainer(id, Soon()));
  EXPECT_THAT(pods_->ListContainers({}), IsEmpty());
}

TEST_F(ContainerTest, StoppingTheSandboxEndsItsContainers) {
  const std::string running = Running(sandbox_, Program("a", {"stubborn"}));
  const std::string created = Created(sandbox_, Program("b", {"true"}));
  EXPECT_OK(pods_->StopPodSandbox(sandbox_, Soon()));
  EXPECT_EQ(pods_->GetContainer(running, Detail::kBrief)->exit_code, 137);
  EXPECT_EQ(pods_->GetContainer(created, Detail::kBrief)->state, ContainerState::kExited);
  EXPECT_THAT(pods_->StartContainer(created, Soon()), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_OK(pods_->RemoveContainer(running, Soon()));
  EXPECT_OK(pods_->RemovePodSandbox(sandbox_, Soon())) << "with the other";
  ExpectNothingLeft();
}

TEST_F(ContainerTest, GuestThatHangsDoesNotHoldUpTheStop) {
  const std::string id = Running(sandbox_, Program("c", {"sleep", "inf"}));
  Agent(sandbox_)->Freeze();
  EXPECT_OK(pods_->StopPodSandbox(sandbox_, Soon()));
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->exit_code, 137);
  EXPECT_OK(pods_->RemovePodSandbox(sandbox_, Soon()));
  ExpectNothingLeft();
}

TEST_F(ContainerTest, ExecSync) {
  const std::string id = Running(sandbox_, Program("c", {"sleep", "inf"}));
  auto result = pods_->ExecSync(id, {"echo", "hi"}, absl::ZeroDuration(), Soon());
  ASSERT_OK(result);
  EXPECT_EQ(result->out, "hi\n");
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(pods_->ExecSync(id, {"exit", "3"}, absl::ZeroDuration(), Soon())->exit_code, 3);
  EXPECT_THAT(pods_->ExecSync(id, {"stubborn"}, absl::Milliseconds(50), Soon()),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(pods_->ExecSync(id, {}, absl::ZeroDuration(), Soon()), StatusIs(StatusCode::kInvalidArgument));
  ASSERT_OK(pods_->StopContainer(id, absl::ZeroDuration(), Soon()));
  EXPECT_THAT(pods_->ExecSync(id, {"true"}, absl::ZeroDuration(), Soon()),
              StatusIs(StatusCode::kFailedPrecondition, "exited"));
}

TEST_F(ContainerTest, ExecEndsWithItsVm) {
  const std::string id = Running(sandbox_, Program("c", {"sleep", "inf"}));
  std::thread exec([&] {
    EXPECT_THAT(pods_->ExecSync(id, {"sleep", "inf"}, absl::ZeroDuration(), Soon()),
                StatusIs(StatusCode::kUnavailable, id));
  });
  ASSERT_TRUE(Agent(sandbox_)->AwaitCalls("RunExec", 1, absl::Minutes(1)));
  ASSERT_OK(host_->KillVm(sandbox_, "killed"));
  exec.join();
}

TEST_F(ContainerTest, UpdatedResourcesAreShown) {
  ContainerConfig config = Program("c", {"sleep", "inf"});
  config.mutable_resources()->set_memory_limit_bytes(64 << 20);
  config.mutable_resources()->set_cpu_shares(512);
  const std::string id = Running(sandbox_, config);
  Resources update;
  update.set_memory_limit_bytes(128 << 20);
  EXPECT_OK(pods_->UpdateContainerResources(id, update, Soon()));
  auto status = pods_->GetContainer(id, Detail::kBrief);
  EXPECT_EQ(status->resources.memory_limit_bytes(), 128 << 20);
  EXPECT_EQ(status->resources.cpu_shares(), 512) << "what was not named stays";
  EXPECT_EQ(Agent(sandbox_)->ContainerResources(id)->memory().limit(), 128 << 20);
  update.set_memory_limit_bytes(int64_t{1} << 40);
  EXPECT_THAT(pods_->UpdateContainerResources(id, update, Soon()), StatusIs(StatusCode::kOutOfRange))
      << "no VM was made for so much";
  Agent(sandbox_)->FailNext("UpdateContainer", absl::InternalError("injected"));
  update.set_memory_limit_bytes(140 << 20);
  EXPECT_THAT(pods_->UpdateContainerResources(id, update, Soon()), StatusIs(StatusCode::kInternal));
  EXPECT_EQ(pods_->GetContainer(id, Detail::kBrief)->resources.memory_limit_bytes(), 128 << 20);
}

TEST_F(ContainerTest, ReopenedLogGoesOnInANewFile) {
  const std::string id = Running(sandbox_, Program("c", {"sleep", "inf"}));
  const std::string path = pods_->GetContainer(id, Detail::kBrief)->log_path;
  ASSERT_EQ(::rename(path.c_str(), (path + ".1").c_str()), 0);
  EXPECT_OK(pods_->ReopenContainerLog(id));
  EXPECT_TRUE(std::ifstream(path).good()) << "the new file exists when the call returns";
  ASSERT_OK(pods_->StopContainer(id, absl::ZeroDuration(), Soon()));
  EXPECT_THAT(pods_->ReopenContainerLog(id), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(ContainerTest, ListFilters) {
  const std::string other = ReadyPod("other");
  const std::string a = Running(sandbox_, Program("a", {"sleep", "inf"}));
  Created(other, Program("b", {"true"}));
  EXPECT_THAT(pods_->ListContainers({}), SizeIs(2));
  EXPECT_THAT(pods_->ListContainers({.sandbox_id = sandbox_}), SizeIs(1));
  EXPECT_THAT(pods_->ListContainers({.id = a.substr(0, 13)}), SizeIs(1));
  EXPECT_THAT(pods_->ListContainers({.state = ContainerState::kRunning}), SizeIs(1));
  EXPECT_THAT(pods_->ListContainers({.labels = {{"none", ""}}}), IsEmpty());
}

}  // namespace
}  // namespace podvisor
