#include "vmm/mock/mock_hypervisor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "agent/client/agent_client.h"
#include "base/status_matchers.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/health.pb.h"
#include "vmm/contract_test.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(60);

class MockWorld : public ContractWorld {
 public:
  explicit MockWorld(Capabilities capabilities) : capabilities_(std::move(capabilities)) {}
  absl::StatusOr<std::unique_ptr<Hypervisor>> NewHypervisor() override {
    return MakeMockHypervisor(host_, capabilities_);
  }
  VmSpec Spec(const std::string& id, const std::string& runtime_dir) override {
    return {.id = id, .runtime_dir = runtime_dir, .disk_slots = 3};
  }
  std::optional<VmSpec> BrokenSpec(const std::string& id, const std::string& runtime_dir) override {
    VmSpec spec = Spec(id, runtime_dir);
    spec.vcpus = 1000;
    return spec;
  }
  void Kill(const std::string& id, Vm&) override { EXPECT_OK(host_.KillVm(id, "signal 9 (Killed)")); }
  std::string console_text() override { return "agent ready"; }

 private:
  EventLoop loop_{"mock"};
  MockHost host_{loop_};
  const Capabilities capabilities_;
};

absl::StatusOr<std::unique_ptr<ContractWorld>> MakeFull() { return std::make_unique<MockWorld>(MockCapabilities()); }

absl::StatusOr<std::unique_ptr<ContractWorld>> MakePoor() {
  return std::make_unique<MockWorld>(Capabilities{.disk_swap = true, .max_vcpus = 2});
}

INSTANTIATE_TEST_SUITE_P(Mock, HypervisorContractTest,
                         testing::Values(ContractDriver{"full", &MakeFull}, ContractDriver{"poor", &MakePoor}),
                         ContractDriverName);

class MockHypervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = absl::StrCat(testing::TempDir(), "/mock");
    ASSERT_EQ(::mkdir(root_.c_str(), 0700), 0);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  VmSpec Spec(const std::string& id) {
    const std::string folder = absl::StrCat(root_, "/", id);
    ::mkdir(folder.c_str(), 0700);
    return {.id = id, .runtime_dir = folder};
  }
  std::unique_ptr<Vm> Run(const std::string& id) {
    auto vm = hypervisor_->Create(Spec(id));
    EXPECT_OK(vm);
    if (!vm.ok()) return nullptr;
    EXPECT_OK((*vm)->Start());
    return *std::move(vm);
  }
  static absl::Time Soon() { return absl::Now() + kPatience; }

  EventLoop vm_loop_{"mock"};
  EventLoop loop_{"io"};
  MockHost host_{vm_loop_};
  std::unique_ptr<Hypervisor> hypervisor_ = MakeMockHypervisor(host_);
  std::string root_;
};

TEST_F(MockHypervisorTest, AgentAnswersFromStartToStop) {
  auto vm = hypervisor_->Create(Spec("a"));
  ASSERT_OK(vm);
  auto client = AgentClient::Create(loop_, (*vm)->agent_channel());
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(30)), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_OK((*vm)->Start());
  EXPECT_OK(client->WaitReady(Soon()));
  EXPECT_THAT(host_.LiveVms(), ElementsAre("a"));
  EXPECT_OK((*vm)->Stop(absl::ZeroDuration()));
  EXPECT_THAT(host_.LiveVms(), IsEmpty());
  EXPECT_NE(::access((root_ + "/a/agent.sock").c_str(), F_OK), 0);
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(30)), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(MockHypervisorTest, PausedVmDoesNotAnswer) {
  std::unique_ptr<Vm> vm = Run("a");
  auto client = AgentClient::Create(loop_, vm->agent_channel());
  ASSERT_OK(client->WaitReady(Soon()));
  EXPECT_OK(vm->Pause());
  EXPECT_EQ(host_.View("a")->state, MockVmState::kPaused);
  EXPECT_THAT(client->WaitReady(absl::Now() + absl::Milliseconds(30)), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_OK(vm->Resume());
  EXPECT_OK(client->WaitReady(Soon()));
}

TEST_F(MockHypervisorTest, BootTakesItsTimeOrNeverEnds) {
  host_.SetBootTime(absl::Milliseconds(20));
  std::unique_ptr<Vm> vm = Run("a");
  auto client = AgentClient::Create(loop_, vm->agent_channel());
  EXPECT_OK(client->WaitReady(Soon()));
  host_.SetBootTime(absl::InfiniteDuration());
  std::unique_ptr<Vm> stuck = Run("b");
  auto stuck_client = AgentClient::Create(loop_, stuck->agent_channel());
  EXPECT_THAT(stuck_client->WaitReady(absl::Now() + absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(host_.Agent("b"), nullptr);
  host_.SetBootTime(absl::Hours(1));
  std::unique_ptr<Vm> late = Run("c");
  EXPECT_OK(late->Stop(absl::ZeroDuration()));
}

TEST_F(MockHypervisorTest, Failpoints) {
  Failpoints& fail = host_.failpoints();
  fail.FailNext(MockCall::kCreate, absl::UnavailableError("no memory"));
  EXPECT_THAT(hypervisor_->Create(Spec("a")), StatusIs(absl::StatusCode::kUnavailable, "no memory"));
  EXPECT_THAT(host_.LiveVms(), IsEmpty());
  std::unique_ptr<Vm> vm = Run("a");
  fail.FailNext(MockCall::kStop, absl::DeadlineExceededError("stuck"), 2);
  EXPECT_THAT(vm->Stop(absl::ZeroDuration()), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(vm->Stop(absl::ZeroDuration()), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(host_.LiveVms(), ElementsAre("a"));
  fail.HangNext(MockCall::kPause);
  std::thread pausing([&] { EXPECT_OK(vm->Pause()); });
  EXPECT_TRUE(fail.AwaitHung(kPatience));
  EXPECT_EQ(host_.View("a")->state, MockVmState::kRunning);
  fail.ReleaseHung();
  pausing.join();
  EXPECT_EQ(host_.View("a")->state, MockVmState::kPaused);
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  EXPECT_EQ(fail.calls(MockCall::kStop), 3);
}

TEST_F(MockHypervisorTest, ViewShowsWhatWasAsked) {
  VmSpec spec = Spec("a");
  spec.max_vcpus = 4;
  spec.shared_folder = root_;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  spec.nic = NicSpec{.tap_fd = pipe_fds[1], .mac = "52:54:00:00:00:01"};
  auto vm = hypervisor_->Create(spec);
  ASSERT_OK(vm);
  ::close(pipe_fds[1]);
  EXPECT_OK((*vm)->AttachDisk({.path = "/dev/null"}));
  EXPECT_OK((*vm)->Resize(4, 256 << 20));
  auto view = host_.View("a");
  ASSERT_OK(view);
  EXPECT_EQ(view->state, MockVmState::kCreated);
  EXPECT_EQ(view->vcpus, 4);
  EXPECT_EQ(view->spec.nic->mac, "52:54:00:00:00:01");
  ASSERT_EQ(view->disks.size(), 1u);
  EXPECT_EQ(view->disks.begin()->second.path, "/dev/null");
  // The VM holds the tap as long as it lives: the pipe's other end sees the last writer go.
  EXPECT_OK((*vm)->Stop(absl::ZeroDuration()));
  char byte;
  EXPECT_EQ(::read(pipe_fds[0], &byte, 1), 0);
  ::close(pipe_fds[0]);
  spec.nic->tap_fd = -1;
  EXPECT_THAT(hypervisor_->Create(spec), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(MockHypervisorTest, ClonesStartWhereTheTemplateWasSaved) {
  const TemplateFiles files = {.memory_path = root_ + "/memory", .devices_path = root_ + "/devices"};
  VmSpec clone = Spec("b");
  clone.boot = BootMode::kClone;
  clone.template_files = files;
  EXPECT_THAT(hypervisor_->Create(clone), StatusIs(absl::StatusCode::kNotFound));
  VmSpec source = Spec("a");
  source.boot = BootMode::kToBeTemplate;
  source.template_files = files;
  auto vm = hypervisor_->Create(source);
  ASSERT_OK(vm);
  EXPECT_THAT(hypervisor_->Create(clone), StatusIs(absl::StatusCode::kFailedPrecondition)) << "not saved yet";
  ASSERT_OK((*vm)->Start());
  ASSERT_OK((*vm)->SaveTemplate());
  EXPECT_THAT(host_.LiveVms(), IsEmpty());
  host_.SetBootTime(absl::InfiniteDuration());
  for (BootMode mode : {BootMode::kClone, BootMode::kCloneOfCopy}) {
    clone.boot = mode;
    auto cloned = hypervisor_->Create(clone);
    ASSERT_OK(cloned);
    ASSERT_OK((*cloned)->Start());
    auto client = AgentClient::Create(loop_, (*cloned)->agent_channel());
    EXPECT_OK(client->WaitReady(Soon())) << "it has booted";
    EXPECT_THAT((*cloned)->SaveTemplate(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_OK((*cloned)->Stop(absl::ZeroDuration()));
  }
}

TEST_F(MockHypervisorTest, TemplateThatCannotBeSavedIsOfNoUse) {
  VmSpec source = Spec("a");
  source.boot = BootMode::kToBeTemplate;
  source.template_files = {.memory_path = root_ + "/memory", .devices_path = root_ + "/devices"};
  auto vm = hypervisor_->Create(source);
  ASSERT_OK(vm);
  host_.failpoints().FailNext(MockCall::kSaveTemplate, absl::ResourceExhaustedError("no room"));
  EXPECT_THAT((*vm)->SaveTemplate(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(host_.LiveVms(), IsEmpty());
  VmSpec clone = Spec("b");
  clone.boot = BootMode::kClone;
  clone.template_files = source.template_files;
  EXPECT_THAT(hypervisor_->Create(clone), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(MockHypervisorTest, TheTemplateKeyIsWhatClonesShare) {
  const VmSpec a = Spec("a");
  const std::string key = hypervisor_->TemplateKey(a).value();
  EXPECT_EQ(key.size(), 64u);
  EXPECT_EQ(hypervisor_->TemplateKey(Spec("b")).value(), key) << "folders and ids may differ";
  VmSpec larger = a;
  larger.memory_bytes *= 2;
  EXPECT_NE(hypervisor_->TemplateKey(larger).value(), key);
  const auto poor = MakeMockHypervisor(host_, Capabilities{.max_vcpus = 2});
  EXPECT_THAT(poor->TemplateKey(a), StatusIs(absl::StatusCode::kUnimplemented));
  VmSpec clone = a;
  clone.boot = BootMode::kClone;
  EXPECT_THAT(poor->Create(clone), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST_F(MockHypervisorTest, AThousandVmsWithTheirClients) {
  constexpr int kVms = 1000;
  std::vector<std::unique_ptr<Vm>> vms;
  std::vector<std::unique_ptr<AgentClient>> clients;
  absl::BlockingCounter answered(kVms);
  for (int i = 0; i < kVms; ++i) {
    vms.push_back(Run(absl::StrCat("v", i)));
    clients.push_back(AgentClient::Create(loop_, vms.back()->agent_channel()));
    clients.back()->CallAsync(kHealthService, "Check", grpc::CheckRequest(), Soon(),
                              [&](const absl::StatusOr<std::string>& answer) {
                                EXPECT_OK(answer);
                                answered.DecrementCount();
                              });
  }
  answered.Wait();
  EXPECT_EQ(host_.LiveVms().size(), static_cast<size_t>(kVms));
  clients.clear();
  for (auto& vm : vms) EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  EXPECT_THAT(host_.LiveVms(), IsEmpty());
}

}  // namespace
}  // namespace podvisor
