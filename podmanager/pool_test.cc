// Where VMs come from, with mock VMs: templates, the pool, what is left in bad moments.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "podmanager/record_store.h"
#include "podmanager/testing/pods_test.h"

namespace podvisor {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class PoolTest : public PodsTest {
 protected:
  PoolTest() {
    Use(FactoryKind::kPool, 2);
    const std::string image = dir_ + "/rehearsal.erofs";
    std::ofstream(image) << "image";
    options_.handlers[""].rehearsal_image = image;
  }

  void Use(FactoryKind kind, int size) {
    options_.handlers[""].factory = kind;
    options_.factory.pool.size = size;
  }

  // Orderly: the pool ends with it.
  void EndDaemon() {
    pods_->Drain(Soon());
    StopDaemon();
  }

  void AwaitVms(const std::function<bool(const std::vector<std::string>&)>& enough) {
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (!enough(host_->LiveVms())) {
      ASSERT_LT(absl::Now(), deadline);
      absl::SleepFor(absl::Milliseconds(2));  // the machine tells nobody
    }
  }

  void AwaitTemplate(const std::string& state) {
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (absl::Now() < deadline) {
      for (const TemplateView& view : pods_->Snapshot().templates) {
        if (view.state == state) return;
      }
      absl::SleepFor(absl::Milliseconds(2));  // templates tell nobody
    }
    FAIL() << "no template is " << state;
  }

  std::vector<std::string> TemplateFolders() {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(dir_ + "/templates", error)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::string OriginOf(const std::string& sandbox) { return Origin(sandbox)["origin"]; }
  std::string ReasonOf(const std::string& sandbox) { return Origin(sandbox).value("reason", ""); }
};

TEST_F(PoolTest, APodTakesAVmOfThePoolAndItsId) {
  StartDaemon();
  AwaitPool(2);
  const std::vector<std::string> waiting = host_->LiveVms();
  EXPECT_THAT(waiting, SizeIs(2));
  for (const std::string& id : waiting) {
    EXPECT_EQ(host_->View(id)->state, MockVmState::kPaused);
    EXPECT_THAT(host_->View(id)->disks, IsEmpty()) << "rehearsed, and blank again";
    EXPECT_EQ(Agent(id)->calls("StartContainer"), 1);
    EXPECT_EQ(Agent(id)->calls("DestroySandbox"), 1);
    EXPECT_THAT(Agent(id)->Containers(), IsEmpty());
  }
  const std::string first = ReadyPod("first");
  EXPECT_THAT(waiting, Contains(first));
  EXPECT_EQ(Origin(first), nlohmann::json({{"origin", "pool"}}));
  EXPECT_EQ(host_->View(first)->state, MockVmState::kRunning);
  AwaitPool(2);
  const std::string second = ReadyPod("second");
  EXPECT_NE(first, second) << "used once";
  EXPECT_EQ(OriginOf(second), "pool");
  Running(second, Program("c", {"sleep", "inf"}));
  EXPECT_OK(pods_->RemovePodSandbox(first, Soon()));
  EXPECT_OK(pods_->RemovePodSandbox(second, Soon()));
  EndDaemon();
  ExpectNothingLeft();
}

TEST_F(PoolTest, TheStartIsTraced) {
  StartDaemon();
  AwaitPool(2);
  const auto status = pods_->GetSandbox(ReadyPod("web"), Detail::kVerbose);
  ASSERT_OK(status);
  std::vector<std::string> stages;
  for (const auto& stage : nlohmann::json::parse(status->info.at("trace"))) {
    stages.push_back(stage.at("stage"));
    EXPECT_GE(stage.at("duration_ms").get<double>(), 0);
    EXPECT_GE(stage.at("offset_ms").get<double>(), 0);
  }
  for (const char* stage : {"record", "cni", "resume", "configure", "ready", "total"}) {
    EXPECT_THAT(stages, Contains(stage));
  }
  EXPECT_THAT(stages, Not(Contains("netns"))) << "the pool has one";
}

TEST_F(PoolTest, ABurstBeyondThePoolGetsClones) {
  StartDaemon();
  AwaitPool(2);
  std::vector<std::thread> clients;
  std::vector<std::string> ids(12);
  for (size_t i = 0; i < ids.size(); ++i) {
    clients.emplace_back([this, &ids, i] { ids[i] = Run(Pod("pod" + std::to_string(i))).value_or(""); });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_THAT(std::set<std::string>(ids.begin(), ids.end()), SizeIs(ids.size()));
  std::map<std::string, int> origins;
  for (const std::string& id : ids) {
    ASSERT_NE(id, "");
    ++origins[OriginOf(id)];
    if (OriginOf(id) != "pool") {
      EXPECT_THAT(ReasonOf(id), HasSubstr("the pool is empty"));
    }
  }
  EXPECT_GE(origins["pool"], 2);
  EXPECT_GE(origins["template"], 1);
  EXPECT_EQ(origins["cold"], 0);
}

TEST_F(PoolTest, WhileTheTemplateIsMadePodsBootCold) {
  host_->failpoints().HangNext(MockCall::kSaveTemplate);
  StartDaemon();
  ASSERT_TRUE(host_->failpoints().AwaitHung(absl::Minutes(1)));
  const std::string early = ReadyPod("early");
  EXPECT_EQ(OriginOf(early), "cold");
  EXPECT_THAT(ReasonOf(early), HasSubstr("its template is still being made"));
  EXPECT_THAT(TemplateFolders(), ElementsAre(HasSubstr("making-")));
  host_->failpoints().ReleaseHung();
  AwaitPool(2);
  EXPECT_EQ(OriginOf(ReadyPod("late")), "pool");
  EXPECT_THAT(TemplateFolders(), ElementsAre(Not(HasSubstr("making-"))));
}

TEST_F(PoolTest, AVmOfThePoolThatDoesNotWakeUpIsReplaced) {
  StartDaemon();
  AwaitPool(2);
  host_->failpoints().FailNext(MockCall::kResume, absl::UnavailableError("no reply"));
  const std::string pod = ReadyPod("web");
  EXPECT_EQ(OriginOf(pod), "template");
  EXPECT_THAT(ReasonOf(pod), HasSubstr("its VM of the pool failed: no reply"));
  EXPECT_THAT(host_->View(pod)->spec.boot, BootMode::kClone);
  Running(pod, Program("c", {"sleep", "inf"}));
  EXPECT_OK(pods_->RemovePodSandbox(pod, Soon()));
  EndDaemon();
  ExpectNothingLeft();
}

TEST_F(PoolTest, ACloneThatFailsIsReplacedByAColdBoot) {
  Use(FactoryKind::kTemplate, 0);
  StartDaemon();
  AwaitTemplate("ready");
  EXPECT_EQ(OriginOf(ReadyPod("a")), "template");
  host_->failpoints().FailNext(MockCall::kCreate, absl::ResourceExhaustedError("no memory"));
  const std::string pod = ReadyPod("b");
  EXPECT_EQ(OriginOf(pod), "cold");
  EXPECT_THAT(ReasonOf(pod), HasSubstr("a clone failed: start VM: no memory"));
  for (int i = 0; i < 2; ++i) {  // the third in a row ends the template
    host_->failpoints().FailNext(MockCall::kStart, absl::UnavailableError("crashed"));
    EXPECT_EQ(OriginOf(ReadyPod("c" + std::to_string(i))), "cold");
  }
  AwaitTemplate("failed");
  EXPECT_THAT(ReasonOf(ReadyPod("d")), HasSubstr("its clones failed"));
}

TEST_F(PoolTest, ANetworkThatFailsLeavesNothingOfAPoolVm) {
  StartDaemon();
  AwaitPool(2);
  network_.failpoints().FailNext("Setup", absl::UnavailableError("no address"));
  EXPECT_THAT(Run(Pod("web")), StatusIs(absl::StatusCode::kUnavailable, "no address"));
  AwaitPool(2);
  EXPECT_THAT(host_->LiveVms(), SizeIs(2));
  EXPECT_OK(Run(Pod("web")));
  EXPECT_OK(pods_->RemovePodSandbox(pods_->ListSandboxes({}).front().id, Soon()));
  EndDaemon();
  ExpectNothingLeft();
}

TEST_F(PoolTest, ARetryOfTheSamePodTakesNoSecondVm) {
  StartDaemon();
  AwaitPool(2);
  const std::string pod = ReadyPod("web");
  AwaitPool(2);
  EXPECT_EQ(Run(Pod("web")).value(), pod);
  AwaitPool(2);
  AwaitVms([](const std::vector<std::string>& vms) { return vms.size() == 3; });
}

TEST_F(PoolTest, ADeadVmIsReplaced) {
  StartDaemon();
  AwaitPool(2);
  const std::string dead = host_->LiveVms().front();
  ASSERT_OK(host_->KillVm(dead, "OOM"));
  AwaitVms([&](const std::vector<std::string>& vms) { return vms.size() == 2; });
  AwaitPool(2);
  EXPECT_THAT(host_->LiveVms(), Not(Contains(dead)));
  EndDaemon();
  ExpectNothingLeft();
}

TEST_F(PoolTest, WhatCanNotRehearseIsNotKept) {
  host_->failpoints().FailNext(MockCall::kPause, absl::UnavailableError("stuck"));
  StartDaemon();
  AwaitPool(2);
  EXPECT_THAT(host_->LiveVms(), SizeIs(2));
  EXPECT_THAT(RuntimeFolders(), SizeIs(2));
  EXPECT_THAT(network_.Namespaces(), SizeIs(2));
}

TEST_F(PoolTest, GrowsToWhatThePodAsksFor) {
  options_.handlers[""].max_vcpus = 4;
  options_.handlers[""].max_memory_bytes = 1ull << 30;
  StartDaemon();
  AwaitPool(2);
  SandboxConfig config = Pod("large");
  config.mutable_resources()->set_cpu_quota(300'000);
  config.mutable_resources()->set_cpu_period(100'000);
  config.mutable_resources()->set_memory_limit_bytes(512 << 20);
  const std::string pod = Run(config).value();
  EXPECT_EQ(OriginOf(pod), "pool");
  EXPECT_EQ(host_->View(pod)->vcpus, 3);
  EXPECT_EQ(host_->View(pod)->memory_bytes, (512ull + 96) << 20);
  EXPECT_EQ(Agent(pod)->calls("OnlineCPUMem"), 1);
}

TEST_F(PoolTest, WhatACloneCanNotBeBootsColdAndSaysWhy) {
  StartDaemon();
  AwaitPool(2);
  SandboxConfig config = Pod("large");
  config.mutable_resources()->set_memory_limit_bytes(512 << 20);
  const std::string pod = Run(config).value();
  EXPECT_EQ(OriginOf(pod), "cold");
  EXPECT_THAT(ReasonOf(pod), HasSubstr("a clone has at most 256 MiB"));
  EXPECT_EQ(host_->View(pod)->memory_bytes, (512ull + 96) << 20);
}

TEST_F(PoolTest, ADriverWithoutClonesBootsCold) {
  capabilities_.clone = false;
  StartDaemon();
  const std::string pod = ReadyPod("web");
  EXPECT_EQ(OriginOf(pod), "cold");
  EXPECT_THAT(ReasonOf(pod), HasSubstr("makes no such clones"));
}

TEST_F(PoolTest, NoRoomForTemplatesIsSaidAndThePoolIsFilledByColdBoots) {
  options_.factory.check_template_room = [](const std::string&, uint64_t) {
    return absl::FailedPreconditionError("not on tmpfs");
  };
  Use(FactoryKind::kPool, 1);
  StartDaemon();
  AwaitTemplate("failed");
  AwaitPool(1);
  EXPECT_EQ(host_->View(host_->LiveVms().front())->spec.boot, BootMode::kCold);
  EXPECT_EQ(OriginOf(ReadyPod("web")), "pool");
}

// --- restarts ---

TEST_F(PoolTest, ANewDaemonTakesThePoolOver) {
  StartDaemon();
  AwaitPool(2);
  const std::vector<std::string> before = host_->LiveVms();
  StopDaemon();
  EXPECT_EQ(host_->LiveVms(), before) << "as after a kill";
  StartDaemon();
  AwaitPool(2);
  EXPECT_EQ(host_->LiveVms(), before);
  EXPECT_EQ(host_->failpoints().calls(MockCall::kSaveTemplate), 1) << "its template is used again";
  const std::string pod = ReadyPod("web");
  EXPECT_THAT(before, Contains(pod));
  EXPECT_EQ(OriginOf(pod), "pool");
  EXPECT_OK(pods_->RemovePodSandbox(pod, Soon()));
  EndDaemon();
  ExpectNothingLeft();
}

TEST_F(PoolTest, AnotherGuestMakesANewTemplateAndANewPool) {
  StartDaemon();
  AwaitPool(2);
  const std::vector<std::string> before = host_->LiveVms();
  const std::vector<std::string> templates = TemplateFolders();
  StopDaemon();
  options_.handlers[""].memory_bytes = 512 << 20;
  StartDaemon();
  AwaitPool(2);
  const std::string pod = ReadyPod("web");
  EXPECT_EQ(OriginOf(pod), "pool");
  EXPECT_THAT(before, Not(Contains(pod)));
  EXPECT_THAT(TemplateFolders(), SizeIs(1));
  EXPECT_NE(TemplateFolders(), templates);
  EXPECT_OK(pods_->RemovePodSandbox(pod, Soon()));
  EndDaemon();
  ExpectNothingLeft();
}

TEST_F(PoolTest, AKernelThatChangesUnderTheDaemonReplacesTemplateAndPool) {
  const std::string kernel = dir_ + "/vmlinux";
  std::ofstream(kernel) << "one";
  options_.handlers[""].kernel_path = kernel;
  StartDaemon();
  AwaitPool(2);
  const std::vector<std::string> before = host_->LiveVms();
  const std::vector<std::string> templates = TemplateFolders();
  std::ofstream(kernel) << "another";
  EXPECT_EQ(OriginOf(ReadyPod("first")), "cold") << "there is no template of it yet";
  AwaitVms([&](const std::vector<std::string>& vms) {
    return std::none_of(before.begin(), before.end(),
                        [&vms](const std::string& old) { return std::find(vms.begin(), vms.end(), old) != vms.end(); });
  });
  AwaitPool(2);
  EXPECT_THAT(TemplateFolders(), SizeIs(1));
  EXPECT_NE(TemplateFolders(), templates) << "the old one has gone";
  const std::string pod = ReadyPod("second");
  EXPECT_EQ(OriginOf(pod), "pool");
  EXPECT_THAT(before, Not(Contains(pod)));
}

TEST_F(PoolTest, HalfATemplateIsNeverUsed) {
  Use(FactoryKind::kTemplate, 0);
  StartDaemon();
  AwaitTemplate("ready");
  const std::string whole = TemplateFolders().front();
  StopDaemon();
  const std::string folder = dir_ + "/templates/" + whole;
  std::ofstream(folder + "/devices", std::ios::app) << "more";  // not what the manifest says
  fs::copy(folder, dir_ + "/templates/making-0", fs::copy_options::recursive);
  fs::create_directories(folder + "-without-manifest");
  StartDaemon();
  AwaitTemplate("ready");
  EXPECT_EQ(host_->failpoints().calls(MockCall::kSaveTemplate), 2) << "made anew";
  EXPECT_THAT(TemplateFolders(), ElementsAre(Not(whole)));
  EXPECT_EQ(OriginOf(ReadyPod("web")), "template");
}

// The daemon is killed when the sandbox's record has replaced the pool's.
TEST_F(PoolTest, KilledWhileAVmIsGiven) {
  Use(FactoryKind::kPool, 1);
  StartDaemon();
  AwaitPool(1);
  const std::string given = host_->LiveVms().front();
  StopDaemon();
  RecordStore store(*db_);
  auto left = store.Load();
  ASSERT_OK(left);
  ASSERT_THAT(left->pool_vms, SizeIs(1));
  SandboxRecord record;
  record.set_id(given);
  *record.mutable_config() = Pod("web");
  record.set_phase(SandboxRecord::CREATING);
  record.set_vm_record(left->pool_vms[0].vm_record());
  record.set_netns_path(left->pool_vms[0].netns_path());
  ASSERT_OK(store.PutTaken(record));
  EXPECT_THAT(db_->Scan("pool_vms").value(), IsEmpty());
  StartDaemon();
  const std::string again = ReadyPod("web");
  EXPECT_NE(again, given) << "never used twice";
  EXPECT_THAT(host_->LiveVms(), Not(Contains(given)));
  EXPECT_OK(pods_->RemovePodSandbox(again, Soon()));
  AwaitPool(1);
  EndDaemon();
  ExpectNothingLeft();
}

// The daemon is killed when a VM has been made that there is no record of yet.
TEST_F(PoolTest, KilledWhileThePoolIsFilled) {
  Use(FactoryKind::kPool, 1);
  StartDaemon();
  AwaitPool(1);
  const std::string filled = host_->LiveVms().front();
  StopDaemon();
  ASSERT_OK(db_->Delete("pool_vms", filled));
  StartDaemon();
  AwaitPool(1);
  EXPECT_OK(Run(Pod("web")));
  pods_->Drain(Soon());  // orphans have been removed then
  EXPECT_THAT(host_->LiveVms(), Not(Contains(filled)));
  EXPECT_THAT(network_.Namespaces(), Not(Contains(filled)));
}

TEST_F(PoolTest, APoolThatIsTurnedOffIsEnded) {
  StartDaemon();
  AwaitPool(2);
  StopDaemon();
  Use(FactoryKind::kCold, 0);
  StartDaemon();
  EndDaemon();
  ExpectNothingLeft();
  EXPECT_THAT(db_->Scan("pool_vms").value(), IsEmpty());
}

}  // namespace
}  // namespace podvisor
