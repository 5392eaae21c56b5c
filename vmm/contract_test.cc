#include "vmm/contract_test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"

namespace podvisor {
namespace {

using testing::IsEmpty;
using testing::Not;

// What WatchExit() told, and how often.
class ExitWatch {
 public:
  std::function<void(std::string)> Callback() {
    return [this](std::string reason) {
      absl::MutexLock lock(&mu_);
      reasons_.push_back(std::move(reason));
    };
  }
  // The first reason; empty if none came in time.
  std::string Wait(absl::Duration patience) {
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithTimeout(absl::Condition(
                             +[](std::vector<std::string>* r) { return !r->empty(); }, &reasons_),
                         patience);
    return reasons_.empty() ? "" : reasons_[0];
  }
  size_t count() {
    absl::MutexLock lock(&mu_);
    return reasons_.size();
  }

 private:
  absl::Mutex mu_;
  std::vector<std::string> reasons_ ABSL_GUARDED_BY(mu_);
};

bool Runs(pid_t pid) {
  // A zombie has ended: nothing of it is left but its parent's duty to reap it.
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string content((std::istreambuf_iterator<char>(stat)), {});
  const size_t state = content.rfind(") ");
  return state != std::string::npos && content[state + 2] != 'Z';
}

}  // namespace

std::string ContractDriverName(const testing::TestParamInfo<ContractDriver>& info) { return info.param.name; }
void PrintTo(const ContractDriver& driver, std::ostream* out) { *out << driver.name; }

void HypervisorContractTest::SetUp() {
  auto world = GetParam().make();
  if (!world.ok()) GTEST_SKIP() << world.status();
  world_ = *std::move(world);
  // Not TEST_TMPDIR: Bazel's is longer than a Unix socket's address may be.
  char folder[] = "/tmp/podvisor-contract.XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  root_ = folder;
  RestartDaemon();
}

void HypervisorContractTest::TearDown() {
  if (hypervisor_ != nullptr) {
    for (const Made& made : made_) EXPECT_OK(hypervisor_->CleanUp(made.id, made.runtime_dir)) << made.id;
  }
  hypervisor_.reset();
  world_.reset();
  if (!root_.empty()) std::filesystem::remove_all(root_);
}

std::string HypervisorContractTest::RuntimeDir(const std::string& id) {
  const std::string path = absl::StrCat(root_, "/", id);
  if (::mkdir(path.c_str(), 0700) == 0) made_.push_back({id, path});
  return path;
}

std::string HypervisorContractTest::MakeDisk(const std::string& name) {
  const std::string path = absl::StrCat(root_, "/", name);
  std::ofstream(path) << name;
  std::filesystem::resize_file(path, 1 << 20);
  return path;
}

std::unique_ptr<Vm> HypervisorContractTest::Create(const std::string& id) {
  auto vm = hypervisor_->Create(world_->Spec(id, RuntimeDir(id)));
  EXPECT_OK(vm);
  return vm.ok() ? *std::move(vm) : nullptr;
}

std::unique_ptr<Vm> HypervisorContractTest::CreateAndStart(const std::string& id) {
  std::unique_ptr<Vm> vm = Create(id);
  if (vm == nullptr) return nullptr;
  absl::Status started = vm->Start();
  EXPECT_OK(started);
  return started.ok() ? std::move(vm) : nullptr;
}

void HypervisorContractTest::RestartDaemon() {
  hypervisor_.reset();
  auto hypervisor = world_->NewHypervisor();
  ASSERT_OK(hypervisor);
  hypervisor_ = *std::move(hypervisor);
}

TEST_P(HypervisorContractTest, SaysWhatItCanDo) {
  const Capabilities& can = hypervisor_->capabilities();
  EXPECT_GE(can.max_vcpus, 1);
  EXPECT_EQ(can.shared_folder, !can.shared_folder_fs.empty());
  EXPECT_THAT(hypervisor_->Describe(), Not(IsEmpty()));
}

TEST_P(HypervisorContractTest, StartTwiceAndStopTwiceSucceed) {
  std::unique_ptr<Vm> vm = Create("a1");
  ASSERT_NE(vm, nullptr);
  EXPECT_OK(vm->Start());
  EXPECT_OK(vm->Start());
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  EXPECT_OK(vm->Stop(absl::Seconds(1)));
}

TEST_P(HypervisorContractTest, StopBeforeStartLeavesNothing) {
  std::unique_ptr<Vm> vm = Create("a1");
  ASSERT_NE(vm, nullptr);
  const std::vector<pid_t> pids = vm->Pids();
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  for (pid_t pid : pids) EXPECT_FALSE(Runs(pid));
}

TEST_P(HypervisorContractTest, StopEndsEveryProcess) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::vector<pid_t> pids = vm->Pids();
  for (pid_t pid : pids) EXPECT_TRUE(Runs(pid));
  EXPECT_OK(vm->Stop(absl::Seconds(1)));
  for (pid_t pid : pids) EXPECT_FALSE(Runs(pid));
  EXPECT_THAT(vm->Start(), Not(IsOk()));
}

TEST_P(HypervisorContractTest, WatchExitTellsOfAStopOnce) {
  ExitWatch watch;
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  vm->WatchExit(watch.Callback());
  EXPECT_EQ(watch.count(), 0u);
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  EXPECT_THAT(watch.Wait(world_->patience()), Not(IsEmpty()));
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  vm->WatchExit(nullptr);
  EXPECT_EQ(watch.count(), 1u);
}

TEST_P(HypervisorContractTest, WatchExitTellsOfAVmThatDiesByItself) {
  ExitWatch watch;
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string record = vm->Record();
  vm->WatchExit(watch.Callback());
  world_->Kill("a1", *vm);
  EXPECT_THAT(watch.Wait(world_->patience()), Not(IsEmpty()));
  EXPECT_THAT(vm->Start(), Not(IsOk()));
  EXPECT_THAT(vm->AttachDisk({.path = MakeDisk("d1")}), Not(IsOk()));
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  vm->WatchExit(nullptr);
  EXPECT_EQ(watch.count(), 1u);
  EXPECT_THAT(hypervisor_->Adopt(record), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(HypervisorContractTest, WatchExitOfAnEndedVmTellsAtOnce) {
  ExitWatch watch;
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  vm->WatchExit(watch.Callback());
  EXPECT_THAT(watch.Wait(world_->patience()), Not(IsEmpty()));
  vm->WatchExit(nullptr);
  EXPECT_EQ(watch.count(), 1u);
}

TEST_P(HypervisorContractTest, RemovedWatcherIsNotCalled) {
  ExitWatch removed, kept;
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  vm->WatchExit(removed.Callback());
  vm->WatchExit(nullptr);
  vm->WatchExit(kept.Callback());
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  EXPECT_THAT(kept.Wait(world_->patience()), Not(IsEmpty()));
  vm->WatchExit(nullptr);
  EXPECT_EQ(removed.count(), 0u);
}

TEST_P(HypervisorContractTest, VmOutlivesItsObjectAndIsAdopted) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string record = vm->Record();
  const GuestChannel channel = vm->agent_channel();
  const std::vector<pid_t> pids = vm->Pids();
  ExitWatch forgotten;
  vm->WatchExit(forgotten.Callback());
  vm.reset();
  RestartDaemon();
  for (pid_t pid : pids) EXPECT_TRUE(Runs(pid));

  auto adopted = hypervisor_->Adopt(record);
  ASSERT_OK(adopted);
  EXPECT_EQ((*adopted)->Record(), record);
  EXPECT_EQ((*adopted)->agent_channel(), channel);
  EXPECT_EQ((*adopted)->Pids(), pids);
  EXPECT_OK((*adopted)->Start());
  ExitWatch watch;
  (*adopted)->WatchExit(watch.Callback());
  EXPECT_OK((*adopted)->Stop(absl::ZeroDuration()));
  EXPECT_THAT(watch.Wait(world_->patience()), Not(IsEmpty()));
  for (pid_t pid : pids) EXPECT_FALSE(Runs(pid));
  EXPECT_EQ(forgotten.count(), 0u);
}

TEST_P(HypervisorContractTest, AdoptedVmThatDiesIsNoticed) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string record = vm->Record();
  vm.reset();
  RestartDaemon();
  auto adopted = hypervisor_->Adopt(record);
  ASSERT_OK(adopted);
  ExitWatch watch;
  (*adopted)->WatchExit(watch.Callback());
  world_->Kill("a1", **adopted);
  EXPECT_THAT(watch.Wait(world_->patience()), Not(IsEmpty()));
  EXPECT_OK((*adopted)->Stop(absl::ZeroDuration()));
}

TEST_P(HypervisorContractTest, AdoptOfAnEndedVmIsNotFound) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string record = vm->Record();
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
  vm.reset();
  RestartDaemon();
  EXPECT_THAT(hypervisor_->Adopt(record), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(HypervisorContractTest, AdoptOfNonsenseFails) {
  EXPECT_THAT(hypervisor_->Adopt(""), Not(IsOk()));
  EXPECT_THAT(hypervisor_->Adopt("\xff\x01 no record"), Not(IsOk()));
}

TEST_P(HypervisorContractTest, CleanUpEndsAVmWhoseRecordWasLost) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string record = vm->Record();
  const std::vector<pid_t> pids = vm->Pids();
  vm.reset();  // as if the daemon had died before it could write the record
  RestartDaemon();
  EXPECT_OK(hypervisor_->CleanUp("a1", RuntimeDir("a1")));
  for (pid_t pid : pids) EXPECT_FALSE(Runs(pid));
  EXPECT_THAT(hypervisor_->Adopt(record), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(hypervisor_->CleanUp("a1", RuntimeDir("a1")));
}

TEST_P(HypervisorContractTest, CleanUpOfWhatNeverWasSucceeds) {
  EXPECT_OK(hypervisor_->CleanUp("never", RuntimeDir("never")));
  EXPECT_OK(hypervisor_->CleanUp("never", absl::StrCat(root_, "/no-such-folder")));
}

TEST_P(HypervisorContractTest, CleanUpSparesOtherVms) {
  std::unique_ptr<Vm> a = CreateAndStart("a1");
  std::unique_ptr<Vm> b = CreateAndStart("a11");
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_OK(hypervisor_->CleanUp("a1", RuntimeDir("a1")));
  for (pid_t pid : b->Pids()) EXPECT_TRUE(Runs(pid));
  EXPECT_OK(b->AttachDisk({.path = MakeDisk("d1")}));
  EXPECT_OK(b->Stop(absl::ZeroDuration()));
}

TEST_P(HypervisorContractTest, BrokenVmFailsAndLeavesNothing) {
  std::optional<VmSpec> spec = world_->BrokenSpec("bad", RuntimeDir("bad"));
  if (!spec) GTEST_SKIP() << "the driver has no VM that can't start";
  auto vm = hypervisor_->Create(*spec);
  if (vm.ok()) {
    absl::Status started = (*vm)->Start();
    EXPECT_THAT(started, Not(IsOk()));
    EXPECT_THAT(std::string(started.message()), Not(IsEmpty()));
    EXPECT_OK((*vm)->Stop(absl::ZeroDuration()));
  } else {
    EXPECT_THAT(std::string(vm.status().message()), Not(IsEmpty()));
  }
  EXPECT_OK(hypervisor_->CleanUp("bad", RuntimeDir("bad")));
  EXPECT_NE(Create("good"), nullptr);
}

TEST_P(HypervisorContractTest, AttachDiskIsIdempotentAndDisksDiffer) {
  if (!hypervisor_->capabilities().disk_swap && !hypervisor_->capabilities().disk_hotplug) {
    GTEST_SKIP() << "the driver attaches no disks to a running VM";
  }
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string one = MakeDisk("one"), two = MakeDisk("two");
  auto first = vm->AttachDisk({.path = one});
  ASSERT_OK(first);
  auto again = vm->AttachDisk({.path = one});
  ASSERT_OK(again);
  EXPECT_EQ(first->id, again->id);
  EXPECT_EQ(first->pci_path, again->pci_path);
  EXPECT_EQ(first->scsi_addr, again->scsi_addr);
  EXPECT_NE(first->pci_path.empty(), first->scsi_addr.empty()) << "exactly one says where the guest finds it";
  auto second = vm->AttachDisk({.path = two, .read_only = false});
  ASSERT_OK(second);
  EXPECT_NE(first->id, second->id);
  EXPECT_NE(first->pci_path + first->scsi_addr, second->pci_path + second->scsi_addr);
  EXPECT_OK(vm->DetachDisk(first->id));
  EXPECT_OK(vm->DetachDisk(first->id));
  EXPECT_OK(vm->DetachDisk("no such disk"));
  EXPECT_OK(vm->AttachDisk({.path = one}));
}

TEST_P(HypervisorContractTest, DiskSlotsRunOutAndAreUsedAgain) {
  const Capabilities& can = hypervisor_->capabilities();
  if (!can.disk_swap) GTEST_SKIP() << "the driver has no disk slots";
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const int slots = world_->Spec("a1", RuntimeDir("a1")).disk_slots;
  std::vector<GuestDisk> disks;
  for (int i = 0; i < slots; ++i) {
    auto disk = vm->AttachDisk({.path = MakeDisk(absl::StrCat("d", i))});
    ASSERT_OK(disk) << "slot " << i;
    disks.push_back(*disk);
  }
  const std::string more = MakeDisk("more");
  if (can.disk_hotplug) {
    auto disk = vm->AttachDisk({.path = more});
    ASSERT_OK(disk);
    EXPECT_OK(vm->DetachDisk(disk->id));
  } else {
    EXPECT_THAT(vm->AttachDisk({.path = more}), StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_OK(vm->DetachDisk(disks[1].id));
  auto reused = vm->AttachDisk({.path = more});
  ASSERT_OK(reused);
  for (size_t i = 0; i < disks.size(); ++i) {
    if (i != 1) {
      EXPECT_NE(reused->id, disks[i].id);
    }
  }
}

TEST_P(HypervisorContractTest, DisksSurviveARestartOfTheDaemon) {
  if (!hypervisor_->capabilities().disk_swap) GTEST_SKIP() << "the driver has no disk slots";
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const std::string one = MakeDisk("one"), two = MakeDisk("two");
  auto before = vm->AttachDisk({.path = one});
  ASSERT_OK(before);
  const std::string record = vm->Record();
  vm.reset();
  RestartDaemon();
  auto adopted = hypervisor_->Adopt(record);
  ASSERT_OK(adopted);
  auto other = (*adopted)->AttachDisk({.path = two});
  ASSERT_OK(other);
  EXPECT_NE(other->id, before->id) << "a slot in use was given away";
  auto again = (*adopted)->AttachDisk({.path = one});
  ASSERT_OK(again);
  EXPECT_EQ(again->id, before->id);
  EXPECT_OK((*adopted)->DetachDisk(before->id));
}

TEST_P(HypervisorContractTest, AttachOfAMissingFileFailsAndTakesNoSlot) {
  if (!hypervisor_->capabilities().disk_swap) GTEST_SKIP() << "the driver has no disk slots";
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  const int slots = world_->Spec("a1", RuntimeDir("a1")).disk_slots;
  for (int i = 0; i <= slots; ++i) {
    EXPECT_THAT(vm->AttachDisk({.path = absl::StrCat(root_, "/missing")}), Not(IsOk()));
  }
  EXPECT_OK(vm->AttachDisk({.path = MakeDisk("there")}));
}

TEST_P(HypervisorContractTest, PauseAndResume) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  if (!hypervisor_->capabilities().pause) {
    EXPECT_THAT(vm->Pause(), StatusIs(absl::StatusCode::kUnimplemented));
    EXPECT_THAT(vm->Resume(), StatusIs(absl::StatusCode::kUnimplemented));
    return;
  }
  EXPECT_OK(vm->Pause());
  EXPECT_OK(vm->Pause());
  EXPECT_OK(vm->Resume());
  EXPECT_OK(vm->Resume());
  EXPECT_OK(vm->Pause());
  EXPECT_OK(vm->Stop(absl::Seconds(1))) << "a paused VM can be stopped";
}

TEST_P(HypervisorContractTest, ResizeKeepsToItsBounds) {
  const Capabilities& can = hypervisor_->capabilities();
  VmSpec spec = world_->Spec("a1", RuntimeDir("a1"));
  if (can.vcpu_hotplug) spec.max_vcpus = spec.vcpus + 1;
  if (can.memory_resize) spec.max_memory_bytes = spec.memory_bytes + (128 << 20);
  auto vm = hypervisor_->Create(spec);
  ASSERT_OK(vm);
  ASSERT_OK((*vm)->Start());
  EXPECT_OK((*vm)->Resize(spec.vcpus, spec.memory_bytes)) << "nothing to change";
  if (can.vcpu_hotplug) {
    EXPECT_OK((*vm)->Resize(spec.max_vcpus, spec.memory_bytes));
    EXPECT_THAT((*vm)->Resize(spec.max_vcpus + 1, spec.memory_bytes), StatusIs(absl::StatusCode::kOutOfRange));
  } else {
    EXPECT_THAT((*vm)->Resize(spec.vcpus + 1, spec.memory_bytes), StatusIs(absl::StatusCode::kUnimplemented));
  }
  const int vcpus = can.vcpu_hotplug ? spec.max_vcpus : spec.vcpus;
  if (can.memory_resize) {
    EXPECT_OK((*vm)->Resize(vcpus, spec.max_memory_bytes));
    EXPECT_THAT((*vm)->Resize(vcpus, spec.max_memory_bytes + (128 << 20)), StatusIs(absl::StatusCode::kOutOfRange));
  } else {
    EXPECT_THAT((*vm)->Resize(vcpus, spec.memory_bytes + (128 << 20)), StatusIs(absl::StatusCode::kUnimplemented));
  }
}

TEST_P(HypervisorContractTest, ConsoleTailIsTheEndAndBounded) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  // The console has no event to wait for.
  const absl::Time deadline = absl::Now() + world_->patience();
  std::string tail;
  while (!absl::StrContains(tail = vm->ConsoleTail(1 << 20), world_->console_text()) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_THAT(tail, testing::HasSubstr(world_->console_text()));
  EXPECT_LE(vm->ConsoleTail(4).size(), 4u);
  EXPECT_EQ(vm->ConsoleTail(0), "");
}

TEST_P(HypervisorContractTest, TellsItsUsage) {
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  auto usage = vm->Usage();
  ASSERT_OK(usage);
  EXPECT_GE(usage->cpu_time, absl::ZeroDuration());
  if (!vm->Pids().empty()) {
    EXPECT_GT(usage->resident_bytes, 1u << 20);
    EXPECT_GT(usage->proportional_bytes, 0u);
    EXPECT_LE(usage->proportional_bytes, usage->resident_bytes + (1 << 20));
  }
  vm->Metrics();
}

TEST_P(HypervisorContractTest, ManyAtOnceDoNotDisturbEachOther) {
  std::unique_ptr<Vm> a = CreateAndStart("a1");
  std::unique_ptr<Vm> b = CreateAndStart("b1");
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_NE(a->Record(), b->Record());
  EXPECT_FALSE(a->agent_channel() == b->agent_channel());
  ExitWatch watch;
  b->WatchExit(watch.Callback());
  world_->Kill("a1", *a);
  EXPECT_OK(a->Stop(absl::ZeroDuration()));
  EXPECT_EQ(watch.count(), 0u);
  EXPECT_OK(b->AttachDisk({.path = MakeDisk("d1")}));
  b->WatchExit(nullptr);
}

}  // namespace podvisor
