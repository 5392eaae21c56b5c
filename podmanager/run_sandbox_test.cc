// RunPodSandbox, StopPodSandbox, RemovePodSandbox, and VMs that die.
#include <atomic>
#include <functional>
#include <ostream>
#include <thread>

#include "absl/strings/match.h"
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

class RunSandboxTest : public PodsTest {
 protected:
  RunSandboxTest() { StartDaemon(); }
};

TEST_F(RunSandboxTest, MakesAVmWithNetworkAndRemovesAllOfIt) {
  SandboxConfig config = Pod("web");
  config.set_hostname("web-0");
  auto id = Run(config);
  ASSERT_OK(id);
  auto status = pods_->GetSandbox(*id, Detail::kVerbose);
  ASSERT_OK(status);
  EXPECT_EQ(status->state, SandboxState::kReady);
  EXPECT_THAT(status->ips, ElementsAre("10.9.0.2"));
  EXPECT_THAT(status->info["info"], HasSubstr("\"phase\":\"ready\""));
  EXPECT_THAT(host_->LiveVms(), ElementsAre(*id));
  EXPECT_EQ(Agent(*id)->Sandbox().hostname(), "web-0");
  EXPECT_EQ(Agent(*id)->Interfaces().interfaces_size(), 1);
  EXPECT_THAT(Cgroups(), SizeIs(4)) << "parent and own, in two hierarchies";
  EXPECT_THAT(host_->View(*id)->spec.cgroup_procs, SizeIs(2));

  EXPECT_OK(pods_->StopPodSandbox(*id, Soon()));
  EXPECT_THAT(host_->LiveVms(), IsEmpty());
  EXPECT_THAT(network_.Namespaces(), IsEmpty());
  EXPECT_THAT(Cgroups(), IsEmpty());
  EXPECT_THAT(RuntimeFolders(), IsEmpty());
  EXPECT_EQ(pods_->GetSandbox(*id, Detail::kBrief)->state, SandboxState::kNotReady);
  EXPECT_OK(pods_->StopPodSandbox(*id, Soon())) << "again";

  EXPECT_OK(pods_->RemovePodSandbox(*id, Soon()));
  EXPECT_THAT(pods_->GetSandbox(*id, Detail::kBrief), StatusIs(StatusCode::kNotFound));
  EXPECT_OK(pods_->RemovePodSandbox(*id, Soon())) << "again";
  EXPECT_OK(pods_->StopPodSandbox(*id, Soon())) << "unknown";
  ExpectNothingLeft();
}

TEST_F(RunSandboxTest, SameConfigurationFindsTheSameSandbox) {
  const std::string id = ReadyPod("web");
  EXPECT_EQ(Run(Pod("web")).value(), id);
  EXPECT_THAT(host_->LiveVms(), SizeIs(1));
  SandboxConfig other = Pod("web");
  other.set_hostname("else");
  EXPECT_THAT(Run(other), StatusIs(StatusCode::kAlreadyExists, id));
  EXPECT_THAT(Run(Pod("web", 1)), IsOk()) << "another attempt is another sandbox";
  ASSERT_OK(pods_->StopPodSandbox(id, Soon()));
  EXPECT_THAT(Run(Pod("web")), StatusIs(StatusCode::kAlreadyExists, id)) << "stopped: its name is in use";
  ASSERT_OK(pods_->RemovePodSandbox(id, Soon()));
  EXPECT_NE(Run(Pod("web")).value(), id);
}

TEST_F(RunSandboxTest, RetryAfterATimeoutFindsTheOneStillStarting) {
  network_.failpoints().Hold("Setup");
  EXPECT_THAT(pods_->RunPodSandbox(Pod("web"), "", absl::Now() + absl::Milliseconds(1)),
              StatusIs(StatusCode::kDeadlineExceeded));
  ASSERT_TRUE(network_.failpoints().AwaitHeld("Setup"));
  EXPECT_THAT(pods_->ListSandboxes({}), IsEmpty()) << "the kubelet would take it for a failed attempt";
  std::thread retry([&] { EXPECT_OK(Run(Pod("web"))); });
  network_.failpoints().Release("Setup");
  retry.join();
  EXPECT_THAT(host_->LiveVms(), SizeIs(1));
  EXPECT_THAT(pods_->ListSandboxes({}), SizeIs(1));
}

TEST_F(RunSandboxTest, ConcurrentCallersGetOneVm) {
  std::vector<std::thread> callers;
  std::vector<std::string> ids(8);
  for (std::string& id : ids) callers.emplace_back([this, &id] { id = Run(Pod("web")).value_or("failed"); });
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(ids, testing::Each(ids[0]));
  EXPECT_THAT(host_->LiveVms(), ElementsAre(ids[0]));
}

TEST_F(RunSandboxTest, RefusesWithoutTouchingAnything) {
  SandboxConfig nameless = Pod("");
  EXPECT_THAT(Run(nameless), StatusIs(StatusCode::kInvalidArgument, "metadata.name"));
  EXPECT_THAT(pods_->RunPodSandbox(Pod("web"), "nope", Soon()), StatusIs(StatusCode::kInvalidArgument, "nope"));
  SandboxConfig host_network = Pod("web");
  host_network.mutable_namespaces()->set_network(NODE);
  EXPECT_THAT(Run(host_network), StatusIs(StatusCode::kUnimplemented, "network"));
  ExpectNothingLeft();
}

TEST_F(RunSandboxTest, VmDeathIsNoticedAtOnce) {
  const std::string id = ReadyPod("web");
  const std::string container = Running(id, Program("c", {"sleep", "inf"}));
  ASSERT_OK(host_->KillVm(id, "qemu ended: signal 11 (Segmentation fault)"));
  EXPECT_THAT(AwaitState(id, SandboxState::kNotReady).reason, HasSubstr("signal 11"));
  const ContainerStatus status = AwaitState(container, ContainerState::kExited);
  EXPECT_EQ(status.exit_code, 255);
  EXPECT_EQ(status.reason, "SandboxDied");
  EXPECT_THAT(status.message, HasSubstr("signal 11"));
  EXPECT_THAT(pods_->CreateContainer(id, Program("d", {"true"}), Soon()),
              StatusIs(StatusCode::kFailedPrecondition, "signal 11"));
  EXPECT_OK(pods_->RemovePodSandbox(id, Soon()));
  ExpectNothingLeft();
}

TEST_F(RunSandboxTest, VmThatDiesAtBootIsReportedWithItsConsole) {
  host_->SetBootTime(absl::InfiniteDuration());
  std::thread killer([&] {
    // The VM is there when the network is asked for, or a little later.
    while (host_->LiveVms().empty()) std::this_thread::yield();
    const std::string id = host_->LiveVms()[0];
    EXPECT_OK(host_->WriteConsole(id, "Kernel panic - not syncing: no init\n"));
    EXPECT_OK(host_->KillVm(id, "qemu ended: exit code 1"));
  });
  absl::StatusOr<std::string> id = Run(Pod("web"));
  killer.join();
  EXPECT_THAT(id, StatusIs(StatusCode::kUnavailable, "exit code 1"));
  EXPECT_THAT(id, StatusIs(StatusCode::kUnavailable, "Kernel panic"));
  ExpectNothingLeft();
}

TEST_F(RunSandboxTest, GuestThatNeverAnswersIsGivenUp) {
  RuntimeHandler handler;
  handler.timeouts.agent_ready = absl::Milliseconds(200);
  options_.handlers[""] = handler;
  StartDaemon();
  host_->SetBootTime(absl::InfiniteDuration());
  EXPECT_THAT(Run(Pod("web")), StatusIs(StatusCode::kDeadlineExceeded, "console"));
  ExpectNothingLeft();
  host_->SetBootTime(absl::ZeroDuration());
}

TEST_F(RunSandboxTest, FailedUndoStaysListedUntilItIsRemoved) {
  network_.failpoints().FailNext("Setup", absl::UnavailableError("no address"));
  network_.failpoints().FailNext("Teardown", absl::UnavailableError("plugin crashed"));
  EXPECT_THAT(Run(Pod("web")), StatusIs(StatusCode::kUnavailable, "plugin crashed"));
  auto listed = pods_->ListSandboxes({});
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_EQ(listed[0].state, SandboxState::kNotReady);
  EXPECT_THAT(listed[0].reason, HasSubstr("no address"));
  EXPECT_THAT(host_->LiveVms(), IsEmpty()) << "what could be undone is";
  EXPECT_THAT(network_.Namespaces(), SizeIs(1)) << "CNI DEL is owed in it";
  EXPECT_OK(pods_->StopPodSandbox(listed[0].id, Soon()));
  EXPECT_OK(pods_->RemovePodSandbox(listed[0].id, Soon()));
  ExpectNothingLeft();
}

TEST_F(RunSandboxTest, StopThatFailsIsTriedAgain) {
  const std::string id = ReadyPod("web");
  network_.failpoints().FailNext("Teardown", absl::UnavailableError("plugin crashed"));
  EXPECT_THAT(pods_->StopPodSandbox(id, Soon()), StatusIs(StatusCode::kUnavailable, "plugin crashed"));
  EXPECT_THAT(network_.Namespaces(), SizeIs(1));
  EXPECT_EQ(pods_->GetSandbox(id, Detail::kBrief)->state, SandboxState::kNotReady);
  EXPECT_OK(pods_->StopPodSandbox(id, Soon()));
  EXPECT_THAT(network_.Namespaces(), IsEmpty());
  host_->failpoints().FailNext(MockCall::kStop, absl::DeadlineExceededError("process outlives SIGKILL"));
  const std::string second = ReadyPod("db");
  EXPECT_THAT(pods_->RemovePodSandbox(second, Soon()), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_OK(pods_->RemovePodSandbox(second, Soon()));
  EXPECT_OK(pods_->RemovePodSandbox(id, Soon()));
  ExpectNothingLeft();
}

TEST_F(RunSandboxTest, PlainKataAgentIsConfiguredCallByCall) {
  host_->SetExtension(ExtensionService::kAbsent);
  ReadyPod("web");
  const std::shared_ptr<FakeAgent> agent = host_->Agent(host_->LiveVms()[0]);
  EXPECT_EQ(agent->Interfaces().interfaces_size(), 1);
  EXPECT_EQ(agent->calls("CreateSandbox"), 1);
  EXPECT_EQ(agent->calls("ReseedRandomDev"), 1);
  EXPECT_EQ(agent->calls("SetGuestDateTime"), 1);
  EXPECT_THAT(pods_->GetSandbox(host_->LiveVms()[0], Detail::kVerbose)->info["info"], HasSubstr("\"agent\":\"kata\""));
}

TEST_F(RunSandboxTest, ListFilters) {
  const std::string web = ReadyPod("web"), db = ReadyPod("db");
  ASSERT_OK(pods_->StopPodSandbox(db, Soon()));
  EXPECT_THAT(pods_->ListSandboxes({}), SizeIs(2));
  EXPECT_THAT(pods_->ListSandboxes({.state = SandboxState::kReady}), SizeIs(1));
  EXPECT_THAT(pods_->ListSandboxes({.id = db.substr(0, 13)}), SizeIs(1));
  EXPECT_THAT(pods_->ListSandboxes({.labels = {{"app", "web"}}}), SizeIs(1));
  EXPECT_THAT(pods_->ListSandboxes({.labels = {{"app", "none"}}}), IsEmpty());
  EXPECT_EQ(pods_->GetSandbox(web.substr(0, 12), Detail::kBrief)->id, web) << "a prefix, as crictl gives it";
  const PodSnapshot snapshot = pods_->Snapshot();
  EXPECT_EQ(snapshot.sandboxes.at(SandboxPhase::kReady), 1);
  EXPECT_EQ(snapshot.sandboxes.at(SandboxPhase::kStopped), 1);
  ASSERT_THAT(snapshot.vms, SizeIs(1));
  EXPECT_EQ(snapshot.vms[0].pod_name, "web");
}

TEST_F(RunSandboxTest, VmIsSizedByThePodsLimits) {
  SandboxConfig config = Pod("big");
  config.mutable_resources()->set_memory_limit_bytes(1 << 30);
  config.mutable_resources()->set_cpu_period(100000);
  config.mutable_resources()->set_cpu_quota(250000);
  auto id = Run(config);
  ASSERT_OK(id);
  const VmSpec spec = host_->View(*id)->spec;
  EXPECT_EQ(spec.vcpus, 3);
  EXPECT_EQ(spec.memory_bytes, (uint64_t{1} << 30) + (96 << 20));
}

TEST_F(RunSandboxTest, StagesAreTimed) {
  absl::Mutex mu;
  std::vector<std::string> stages;
  options_.on_stage = [&](absl::string_view stage, StatusCode, absl::Duration) {
    absl::MutexLock lock(&mu);
    stages.emplace_back(stage);
  };
  StartDaemon();
  ReadyPod("web");
  StopDaemon();
  EXPECT_THAT(stages, testing::UnorderedElementsAre("record", "netns", "files", "cni", "vmm_start", "agent_ready",
                                                    "prepare", "configure", "ready", "total"));
}

// --- every step of the start fails once ---

struct Failure {
  const char* name;
  std::function<void(FakePodNetwork&, MockHost&)> inject;
  friend void PrintTo(const Failure& failure, std::ostream* out) { *out << failure.name; }
};

class RunSandboxFailureTest : public PodsTest, public testing::WithParamInterface<Failure> {};

TEST_P(RunSandboxFailureTest, LeavesNothingAndARetrySucceeds) {
  StartDaemon();
  GetParam().inject(network_, *host_);
  EXPECT_THAT(Run(Pod("web")), StatusIs(StatusCode::kUnavailable, "injected"));
  EXPECT_THAT(pods_->ListSandboxes({}), IsEmpty());
  ExpectNothingLeft();
  host_->SetBootTime(absl::ZeroDuration());
  EXPECT_OK(Run(Pod("web")));
}

const absl::Status kInjected = absl::UnavailableError("injected");

INSTANTIATE_TEST_SUITE_P(
    Steps, RunSandboxFailureTest,
    testing::Values(Failure{"CreateNamespace",
                            [](auto& n, auto&) { n.failpoints().FailNext("CreateNamespace", kInjected); }},
                    Failure{"OpenTap", [](auto& n, auto&) { n.failpoints().FailNext("OpenTap", kInjected); }},
                    Failure{"Setup", [](auto& n, auto&) { n.failpoints().FailNext("Setup", kInjected); }},
                    Failure{"VmCreate", [](auto&, auto& h) { h.failpoints().FailNext(MockCall::kCreate, kInjected); }},
                    Failure{"VmStart", [](auto&, auto& h) { h.failpoints().FailNext(MockCall::kStart, kInjected); }},
                    Failure{"SetupWhileTheVmNeverBoots",
                            [](auto& n, auto& h) {
                              h.SetBootTime(absl::Minutes(10));
                              n.failpoints().FailNext("Setup", kInjected);
                            }},
                    Failure{"SetupAndVmCreate",
                            [](auto& n, auto& h) {
                              n.failpoints().FailNext("Setup", kInjected);
                              h.failpoints().FailNext(MockCall::kCreate, kInjected);
                            }}),
    [](const testing::TestParamInfo<Failure>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace podvisor
