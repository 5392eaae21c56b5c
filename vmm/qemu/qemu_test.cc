// The driver with real VMs. Beyond the contract: what the guest sees, and what errors say.
#include "vmm/qemu/qemu.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "vmm/qemu/launch.h"
#include "vmm/qemu/test_guest.h"
#include "vmm/qemu/test_tap.h"

namespace podvisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kId[] = "qemutest";

class QemuTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/podvisor-qemu.XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    root_ = folder;
    ASSERT_EQ(::chmod(folder, 0755), 0);  // the initrd below has to be readable for QEMU's own user
    auto guest = MakeTestGuest(root_);
    if (!guest.ok()) GTEST_SKIP() << guest.status();
    guest_ = *guest;
    runtime_dir_ = absl::StrCat(root_, "/vm");
    ASSERT_EQ(::mkdir(runtime_dir_.c_str(), 0700), 0);
    if (::access(QemuOptions().qemu_path.c_str(), X_OK) != 0) GTEST_SKIP() << "no QEMU";
    MakeDriver({});
  }

  void TearDown() override {
    vm_.reset();
    if (driver_ != nullptr) {
      EXPECT_OK(driver_->CleanUp(kId, runtime_dir_));
    }
    driver_.reset();
    while (::umount2(absl::StrCat(root_, "/shared").c_str(), MNT_DETACH) == 0) {
    }
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  void MakeDriver(QemuOptions options) {
    auto driver = MakeQemu(loop_, std::move(options));
    ASSERT_OK(driver);
    driver_ = *std::move(driver);
  }

  VmSpec Spec() {
    VmSpec spec;
    spec.id = kId;
    spec.runtime_dir = runtime_dir_;
    spec.kernel_path = guest_.kernel_path;
    spec.initrd_path = guest_.initrd_path;
    spec.disk_slots = 2;
    return spec;
  }

  // Boots and waits until the guest answers.
  void Boot(const VmSpec& spec) {
    auto vm = driver_->Create(spec);
    ASSERT_OK(vm);
    vm_ = *std::move(vm);
    ASSERT_OK(vm_->Start());
    auto client = EchoClient::Connect(vm_->agent_channel().path);
    ASSERT_OK(client);
    client_.emplace(*std::move(client));
    ASSERT_EQ(Ask("echo hello"), "hello") << vm_->ConsoleTail(4096);
  }

  std::string Ask(const std::string& request) {
    auto answer = client_->Ask(request);
    return answer.ok() ? *answer : answer.status().ToString();
  }

  std::string Disk(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(root_, "/", name);
    std::ofstream(path) << content << "\n";
    std::filesystem::resize_file(path, 1 << 20);
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);  // QEMU's user has no right to it
    return path;
  }

  // /sys/block/NAME of the disk whose device has this PCI path, as the agent looks for it.
  std::string DeviceOf(const GuestDisk& disk) {
    for (const char* name : {"vda", "vdb", "vdc", "vdd"})
      if (absl::StrContains(Ask(absl::StrCat("pci ", name)), absl::StrCat("0000:00:", disk.pci_path, ".0")))
        return name;
    return "";
  }

  EventLoop loop_{"test"};
  std::string root_, runtime_dir_;
  TestGuest guest_;
  std::unique_ptr<Hypervisor> driver_;
  std::unique_ptr<Vm> vm_;
  std::optional<EchoClient> client_;
};

TEST_F(QemuTest, GuestSeesDisksComeAndGo) {
  ASSERT_NO_FATAL_FAILURE(Boot(Spec()));
  const auto first = vm_->AttachDisk({Disk("one", "first image"), true});
  ASSERT_OK(first);
  const std::string device = DeviceOf(*first);
  ASSERT_NE(device, "");
  EXPECT_EQ(Ask(absl::StrCat("head /dev/", device)), "first image");
  ASSERT_OK(vm_->DetachDisk(first->id));
  EXPECT_EQ(Ask(absl::StrCat("head /dev/", device)), "");
  const auto second = vm_->AttachDisk({Disk("two", "second image"), true});
  ASSERT_OK(second);
  EXPECT_EQ(second->pci_path, first->pci_path);
  EXPECT_EQ(Ask(absl::StrCat("head /dev/", device)), "second image");
}

TEST_F(QemuTest, WritableDiskIsPluggedAndKeepsWhatTheGuestWrites) {
  ASSERT_NO_FATAL_FAILURE(Boot(Spec()));
  ASSERT_EQ(Ask("late"), "ok");
  const std::string path = Disk("rw", "writable");
  const auto disk = vm_->AttachDisk({path, false});
  ASSERT_OK(disk);
  EXPECT_EQ(disk->scsi_addr, "0:0");
  // The guest's own event handling finds it in its time.
  std::string seen;
  const absl::Time deadline = absl::Now() + kBootPatience;
  while ((seen = Ask("head /dev/sda")) != "writable" && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
  ASSERT_EQ(seen, "writable");
  EXPECT_EQ(Ask("write /dev/sda WRITTEN!"), "ok");
  EXPECT_OK(vm_->DetachDisk(disk->id));  // flushes
  EXPECT_OK(vm_->AttachDisk({path, false}));
}

TEST_F(QemuTest, SharedFolderShowsMountsMadeLater) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const std::string shared = absl::StrCat(root_, "/shared");
  ASSERT_EQ(::mkdir(shared.c_str(), 0700), 0);
  ASSERT_EQ(::mount(shared.c_str(), shared.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, shared.c_str(), nullptr, MS_SHARED, nullptr), 0);
  std::ofstream(shared + "/secret") << "of root\n";
  ASSERT_EQ(::chmod((shared + "/secret").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir((shared + "/volume").c_str(), 0755), 0);
  VmSpec spec = Spec();
  spec.shared_folder = shared;
  ASSERT_NO_FATAL_FAILURE(Boot(spec));
  ASSERT_EQ(Ask("mount 9p podvisor /shared"), "ok");
  EXPECT_EQ(Ask("head /shared/secret"), "of root");
  // After the boot, as a container's volume comes.
  const std::string source = absl::StrCat(root_, "/source");
  ASSERT_EQ(::mkdir(source.c_str(), 0755), 0);
  std::ofstream(source + "/file") << "bound\n";
  ASSERT_EQ(::mount(source.c_str(), (shared + "/volume").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_EQ(Ask("head /shared/volume/file"), "bound");
  EXPECT_EQ(Ask("write /shared/volume/new by-the-guest"), "ok");
  EXPECT_EQ(ReadFile(source + "/new", 100).value_or("nothing"), "by-the-guest");
  struct stat stat = {};
  ASSERT_EQ(::stat((source + "/new").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_uid, 0u) << "files belong to whom the guest says";
  ASSERT_EQ(::umount((shared + "/volume").c_str()), 0);
}

TEST_F(QemuTest, GuestThatPanicsIsReportedWithItsConsole) {
  ASSERT_NO_FATAL_FAILURE(Boot(Spec()));
  absl::Notification ended;
  std::string reason;
  vm_->WatchExit([&](std::string why) {
    reason = std::move(why);
    ended.Notify();
  });
  EXPECT_THAT(client_->Ask("panic"), Not(IsOk()));
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kBootPatience));
  EXPECT_THAT(reason, AllOf(HasSubstr("exit code 0"), HasSubstr("guest-reset")));
  EXPECT_THAT(vm_->ConsoleTail(65536), HasSubstr("Kernel panic - not syncing: Attempted to kill init!"));
  EXPECT_THAT(vm_->Start(), StatusIs(absl::StatusCode::kUnavailable, "Kernel panic"));
}

TEST_F(QemuTest, KilledQemuIsNoticedAndReaped) {
  ASSERT_NO_FATAL_FAILURE(Boot(Spec()));
  absl::Notification ended;
  std::string reason;
  vm_->WatchExit([&](std::string why) {
    reason = std::move(why);
    ended.Notify();
  });
  const pid_t pid = vm_->Pids().at(0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kBootPatience));
  EXPECT_EQ(reason, "qemu ended: signal 9 (Killed)");
  EXPECT_NE(::kill(pid, 0), 0) << "a zombie is left";
}

TEST_F(QemuTest, RunsWithoutRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "dropping rights needs root";
  auto vm = driver_->Create(Spec());
  ASSERT_OK(vm);
  vm_ = *std::move(vm);
  const std::string proc = absl::StrCat("/proc/", vm_->Pids().at(0));
  const std::string status = ReadFile(proc + "/status", 65536).value_or("");
  const QemuUser user = *ResolveUser("auto", kId);
  EXPECT_THAT(status, HasSubstr(absl::StrCat("Uid:\t", user.uid, "\t", user.uid)));
  EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  std::vector<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/root")) seen.push_back(entry.path().filename());
  EXPECT_THAT(seen, testing::IsSubsetOf({"usr", "bin", "lib", "lib64", "etc", "dev", "guest", "proc"}));
}

TEST_F(QemuTest, EntersItsCgroupBeforeItRuns) {
  const std::string cgroup = "/sys/fs/cgroup/unified/podvisor-qemu-test";
  if (::mkdir(cgroup.c_str(), 0755) != 0) GTEST_SKIP() << "no cgroup can be made at " << cgroup;
  VmSpec spec = Spec();
  spec.cgroup_procs = {cgroup + "/cgroup.procs"};
  auto vm = driver_->Create(spec);
  EXPECT_OK(vm);
  if (vm.ok()) {
    EXPECT_EQ(ReadFile(spec.cgroup_procs[0], 4096).value_or(""), absl::StrCat((*vm)->Pids().at(0), "\n"));
    EXPECT_OK((*vm)->Stop(absl::ZeroDuration()));
  }
  EXPECT_EQ(::rmdir(cgroup.c_str()), 0);
}

TEST_F(QemuTest, CardIsOnTheTapOfTheNamespace) {
  TapNamespace netns;
  if (netns.tap() < 0) GTEST_SKIP() << "no tap can be made";
  VmSpec spec = Spec();
  spec.netns_path = netns.path();
  spec.nic = NicSpec{netns.tap(), "52:54:00:ab:cd:ef", 1400};
  ASSERT_NO_FATAL_FAILURE(Boot(spec));
  EXPECT_EQ(Ask("head /sys/class/net/eth0/address"), "52:54:00:ab:cd:ef");
  EXPECT_EQ(Ask("head /sys/class/net/eth0/mtu"), "1400");
  EXPECT_EQ(std::filesystem::read_symlink(absl::StrCat("/proc/", vm_->Pids().at(0), "/ns/net")),
            std::filesystem::read_symlink(netns.path()));
}

TEST_F(QemuTest, ConsoleSurvivesARestartOfTheDaemon) {
  ASSERT_NO_FATAL_FAILURE(Boot(Spec()));
  const std::string record = vm_->Record();
  vm_.reset();
  ASSERT_NO_FATAL_FAILURE(MakeDriver({}));
  auto adopted = driver_->Adopt(record);
  ASSERT_OK(adopted);
  vm_ = *std::move(adopted);
  EXPECT_EQ(Ask("echo still-there"), "still-there");
  EXPECT_THAT(vm_->ConsoleTail(65536), HasSubstr("echo_init: modules loaded"));
  absl::Notification ended;
  vm_->WatchExit([&](const std::string&) { ended.Notify(); });
  EXPECT_THAT(client_->Ask("panic"), Not(IsOk()));
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kBootPatience));
  EXPECT_THAT(vm_->ConsoleTail(65536), HasSubstr("Kernel panic"));
}

TEST_F(QemuTest, VcpusAndMemoryArePlugged) {
  VmSpec spec = Spec();
  spec.max_vcpus = 4;
  spec.max_memory_bytes = uint64_t{1} << 30;
  ASSERT_NO_FATAL_FAILURE(Boot(spec));
  ASSERT_EQ(Ask("late"), "ok");
  EXPECT_EQ(vm_->Metrics()["vcpus"], 1);
  ASSERT_OK(vm_->Resize(3, spec.memory_bytes + (256 << 20)));
  EXPECT_EQ(vm_->Metrics()["vcpus"], 3);
  // The guest plugs in its own time.
  const absl::Time deadline = absl::Now() + kBootPatience;
  std::string present;
  while ((present = Ask("head /sys/devices/system/cpu/present")) != "0-2" && absl::Now() < deadline)
    absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(present, "0-2");
  const double wanted = static_cast<double>(spec.memory_bytes + (256 << 20));
  while (vm_->Metrics()["memory_bytes"] != wanted && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(vm_->Metrics()["memory_bytes"], wanted);
}

TEST_F(QemuTest, MissingKernelIsNamed) {
  VmSpec spec = Spec();
  spec.kernel_path = "/nosuch/vmlinux";
  EXPECT_THAT(driver_->Create(spec), StatusIs(absl::StatusCode::kNotFound,
                                              "sandbox qemutest: guest kernel (build one with guest/build): open "
                                              "/nosuch/vmlinux: No such file or directory"));
}

TEST_F(QemuTest, KernelThatIsNoneCarriesWhatQemuSaid) {
  VmSpec spec = Spec();
  spec.kernel_path = Disk("text", "this is no kernel");
  ASSERT_EQ(::chmod(spec.kernel_path.c_str(), 0644), 0);
  EXPECT_THAT(driver_->Create(spec), StatusIs(absl::StatusCode::kUnavailable, "qemu: linux kernel too old"));
}

TEST_F(QemuTest, KernelThatQemuMayNotReadSaysSo) {
  if (::geteuid() != 0) GTEST_SKIP() << "dropping rights needs root";
  VmSpec spec = Spec();
  spec.kernel_path = Disk("private", "root's own");
  EXPECT_THAT(driver_->Create(spec), StatusIs(absl::StatusCode::kPermissionDenied, "chmod o+r"));
}

TEST_F(QemuTest, QemuThatDiesAtStartCarriesItsStderr) {
  ASSERT_NO_FATAL_FAILURE(MakeDriver({.extra_args = {"-device", "no-such-device"}}));
  const auto vm = driver_->Create(Spec());
  EXPECT_THAT(vm, StatusIs(absl::StatusCode::kUnavailable, "'no-such-device' is not a valid device model name"));
  EXPECT_THAT(std::string(vm.status().message()), HasSubstr("exit code 1"));
}

TEST(QemuProbeTest, MissingQemuSaysWhatToDo) {
  EventLoop loop("test");
  EXPECT_THAT(MakeQemu(loop, {.qemu_path = "/nosuch/qemu"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "install qemu-system-x86"));
  EXPECT_THAT(MakeQemu(loop, {.qemu_path = "/bin/true"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "does not tell its version"));
}

TEST(QemuProbeTest, UnknownUser) {
  EXPECT_THAT(ResolveUser("nosuchuser", "a"), StatusIs(absl::StatusCode::kFailedPrecondition, "nosuchuser"));
  EXPECT_EQ(ResolveUser("12:34", "a")->gid, 34u);
  EXPECT_EQ(ResolveUser("root", "a")->uid, 0u);
  EXPECT_NE(ResolveUser("auto", "a")->uid, ResolveUser("auto", "b")->uid);
}

}  // namespace
}  // namespace podvisor
