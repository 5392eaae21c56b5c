// Templates and clones with real VMs. Beyond the contract: what the guests see, and what is left of what fails.
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/event_loop.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "vmm/qemu/proc_stat.h"
#include "vmm/qemu/qemu.h"
#include "vmm/qemu/test_guest.h"
#include "vmm/qemu/test_tap.h"

namespace podvisor {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A VM and a person at its port.
struct Guest {
  std::unique_ptr<Vm> vm;
  std::optional<EchoClient> client;

  std::string Ask(const std::string& request) {
    auto answer = client->Ask(request);
    return answer.ok() ? *answer : answer.status().ToString();
  }
};

class CloneTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/dev/shm/podvisor-clone.XXXXXX";  // templates live on tmpfs
    ASSERT_NE(::mkdtemp(folder), nullptr);
    root_ = folder;
    ASSERT_EQ(::chmod(folder, 0755), 0);  // the initrd below has to be readable for QEMU's own user
    auto guest = MakeTestGuest(root_);
    if (!guest.ok()) GTEST_SKIP() << guest.status();
    test_guest_ = *guest;
    if (::access(QemuOptions().qemu_path.c_str(), X_OK) != 0) GTEST_SKIP() << "no QEMU";
    template_files_ = {absl::StrCat(root_, "/files/memory"), absl::StrCat(root_, "/files/devices")};
    ASSERT_EQ(::mkdir(absl::StrCat(root_, "/files").c_str(), 0700), 0);
    auto driver = MakeQemu(loop_, {});
    ASSERT_OK(driver);
    driver_ = *std::move(driver);
  }

  void TearDown() override {
    if (driver_ != nullptr) {
      for (const std::string& id : ids_) EXPECT_OK(driver_->CleanUp(id, RuntimeDir(id)));
    }
    driver_.reset();
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  std::string RuntimeDir(const std::string& id) { return absl::StrCat(root_, "/", id); }

  VmSpec Spec(const std::string& id, BootMode boot) {
    VmSpec spec;
    spec.id = id;
    spec.runtime_dir = RuntimeDir(id);
    if (::mkdir(spec.runtime_dir.c_str(), 0700) == 0) ids_.push_back(id);
    spec.kernel_path = test_guest_.kernel_path;
    spec.initrd_path = test_guest_.initrd_path;
    spec.disk_slots = 2;
    spec.max_vcpus = 2;
    spec.max_memory_bytes = uint64_t{1} << 30;
    spec.boot = boot;
    if (boot != BootMode::kCold) spec.template_files = template_files_;
    return spec;
  }

  // Starts it and waits until it answers.
  Guest Run(const VmSpec& spec) {
    Guest guest;
    auto vm = driver_->Create(spec);
    EXPECT_OK(vm);
    if (!vm.ok()) return guest;
    auto client = EchoClient::Connect((*vm)->agent_channel().path);
    EXPECT_OK(client);
    EXPECT_OK((*vm)->Start());
    guest.vm = *std::move(vm);
    guest.client.emplace(*std::move(client));
    EXPECT_EQ(guest.Ask("echo hello"), "hello") << guest.vm->ConsoleTail(4096);
    return guest;
  }

  void MakeTemplate() {
    Guest guest = Run(Spec("template", BootMode::kToBeTemplate));
    ASSERT_NE(guest.vm, nullptr);
    ASSERT_EQ(guest.Ask("late"), "ok");
    guest.client.reset();
    ASSERT_OK(guest.vm->SaveTemplate());
    EXPECT_THAT(guest.vm->Pids(), IsEmpty());
  }

  static VmUsage Usage(Guest& guest) {
    auto usage = guest.vm->Usage();
    EXPECT_OK(usage);
    return usage.value_or(VmUsage());
  }

  static std::string Digest(const std::string& path) {
    std::string content(std::filesystem::file_size(path), '\0');
    EXPECT_TRUE(std::ifstream(path, std::ios::binary).read(content.data(), static_cast<ssize_t>(content.size())));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    ::EVP_Digest(content.data(), content.size(), digest, &size, ::EVP_sha256(), nullptr);
    return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
  }

  std::string Disk(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(root_, "/", name);
    std::ofstream(path) << content << "\n";
    std::filesystem::resize_file(path, 1 << 20);
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);
    return path;
  }

  EventLoop loop_{"test"};
  std::string root_;
  TestGuest test_guest_;
  TemplateFiles template_files_;
  std::vector<std::string> ids_;
  std::unique_ptr<Hypervisor> driver_;
};

TEST_F(CloneTest, ClonesAtOnceAnswerAndLeaveTheTemplateAsItIs) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  const std::string before = Digest(template_files_.memory_path);
  std::vector<Guest> clones;
  for (const char* id : {"a", "b", "c"}) clones.push_back(Run(Spec(id, BootMode::kClone)));
  std::set<std::string> random;
  for (Guest& clone : clones) {
    ASSERT_NE(clone.vm, nullptr);
    random.insert(clone.Ask("head /proc/sys/kernel/random/uuid"));
    EXPECT_EQ(clone.Ask("echo again"), "again");
    EXPECT_EQ(clone.Ask("write /file of-its-own"), "ok");
  }
  EXPECT_EQ(random.size(), 3u) << "each has a VM generation id of its own, which the kernel takes for entropy";
  EXPECT_EQ(clones[0].Ask("dirty 32"), "ok");
  EXPECT_GT(Usage(clones[0]).guest_private_bytes, Usage(clones[1]).guest_private_bytes);
  EXPECT_GT(Usage(clones[1]).guest_shared_bytes, 1u << 20);
  for (Guest& clone : clones) EXPECT_OK(clone.vm->Stop(absl::ZeroDuration()));
  EXPECT_EQ(Digest(template_files_.memory_path), before);
}

TEST_F(CloneTest, FreePagesOfACloneAreReturnedAndTheTemplateKeepsItsOwn) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  const std::string before = Digest(template_files_.memory_path);
  Guest clone = Run(Spec("a", BootMode::kClone));
  ASSERT_NE(clone.vm, nullptr);
  constexpr uint64_t kDirty = 64 << 20;
  // The guest reports on a timer of its own, so some may be back before it has written all.
  const uint64_t idle = Usage(clone).guest_private_bytes;
  EXPECT_EQ(clone.Ask("dirty 64"), "ok");
  const absl::Time deadline = absl::Now() + kBootPatience;
  while (Usage(clone).guest_private_bytes > idle + kDirty / 2 && absl::Now() < deadline)
    absl::SleepFor(absl::Milliseconds(100));
  EXPECT_LT(Usage(clone).guest_private_bytes, idle + kDirty / 2);
  EXPECT_EQ(clone.Ask("dirty 64"), "ok") << "pages that were returned are there again";
  EXPECT_EQ(clone.Ask("echo alive"), "alive");
  EXPECT_THAT(clone.vm->ConsoleTail(65536), Not(HasSubstr("ram_block_discard_range")));
  EXPECT_EQ(Digest(template_files_.memory_path), before);
}

TEST_F(CloneTest, CloneCannotOpenTheTemplateForWriting) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  Guest clone = Run(Spec("a", BootMode::kClone));
  ASSERT_NE(clone.vm, nullptr);
  const std::string proc = absl::StrCat("/proc/", clone.vm->Pids().at(0));
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry.path(), error) != template_files_.memory_path) continue;
    ++found;
    std::ifstream info(absl::StrCat(proc, "/fdinfo/", entry.path().filename().string()));
    const std::string text((std::istreambuf_iterator<char>(info)), {});
    const size_t flags = text.find("flags:\t");
    ASSERT_NE(flags, std::string::npos);
    EXPECT_EQ(std::stoul(text.substr(flags + 7), nullptr, 8) & O_ACCMODE, static_cast<unsigned>(O_RDONLY));
  }
  EXPECT_GT(found, 0);
  struct stat stat = {};
  ASSERT_EQ(::stat(template_files_.memory_path.c_str(), &stat), 0);
  EXPECT_EQ(stat.st_uid, ::geteuid());
  EXPECT_EQ(stat.st_mode & 07777, 0400u);
}

TEST_F(CloneTest, CloneHasDisksVcpusAndMemoryOfItsOwn) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  VmSpec spec = Spec("a", BootMode::kClone);
  Guest clone = Run(spec);
  ASSERT_NE(clone.vm, nullptr);
  ASSERT_OK(clone.vm->AttachDisk({Disk("one", "first image"), true}));
  EXPECT_EQ(clone.Ask("head /dev/vda"), "first image");
  ASSERT_OK(clone.vm->Resize(2, spec.memory_bytes + (256 << 20)));
  const absl::Time deadline = absl::Now() + kBootPatience;
  std::string present;
  while ((present = clone.Ask("head /sys/devices/system/cpu/present")) != "0-1" && absl::Now() < deadline)
    absl::SleepFor(absl::Milliseconds(50));  // the guest plugs in its own time
  EXPECT_EQ(present, "0-1");
  const double wanted = static_cast<double>(spec.memory_bytes + (256 << 20));
  while (clone.vm->Metrics()["memory_bytes"] != wanted && absl::Now() < deadline)
    absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(clone.vm->Metrics()["memory_bytes"], wanted);
  // A later daemon finds it all.
  const std::string record = clone.vm->Record();
  clone.vm.reset();
  auto adopted = driver_->Adopt(record);
  ASSERT_OK(adopted);
  EXPECT_EQ((*adopted)->Metrics()["vcpus"], 2);
  EXPECT_EQ(clone.Ask("head /dev/vda"), "first image");
  ASSERT_OK((*adopted)->AttachDisk({Disk("two", "second image"), true}));
  EXPECT_EQ(clone.Ask("head /dev/vdb"), "second image");
}

TEST_F(CloneTest, CloneHasItsOwnTapAndFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "network namespaces need root";
  TapNamespace first, second;
  if (first.tap() < 0 || second.tap() < 0) GTEST_SKIP() << "no tap can be made";
  const auto spec = [&](const std::string& id, BootMode boot, const TapNamespace& netns, const std::string& mac) {
    VmSpec spec = Spec(id, boot);
    spec.netns_path = netns.path();
    spec.nic = NicSpec{netns.tap(), mac, 1400};
    spec.shared_folder = absl::StrCat(root_, "/shared-", id);
    std::filesystem::create_directory(spec.shared_folder);
    std::ofstream(spec.shared_folder + "/name") << id << "\n";
    return spec;
  };
  {
    Guest guest = Run(spec("template", BootMode::kToBeTemplate, first, "52:54:00:ab:cd:01"));
    ASSERT_NE(guest.vm, nullptr);
    guest.client.reset();
    ASSERT_OK(guest.vm->SaveTemplate());
  }
  Guest clone = Run(spec("a", BootMode::kClone, second, "52:54:00:ab:cd:02"));
  ASSERT_NE(clone.vm, nullptr);
  EXPECT_EQ(clone.Ask("head /sys/class/net/eth0/address"), "52:54:00:ab:cd:01") << "until the agent sets another";
  EXPECT_EQ(clone.Ask("head /sys/class/net/eth0/mtu"), "1400");
  ASSERT_EQ(clone.Ask("mount 9p podvisor /shared"), "ok");
  EXPECT_EQ(clone.Ask("head /shared/name"), "a");
}

TEST_F(CloneTest, CloneOfACopySharesNothing) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  const std::string before = Digest(template_files_.memory_path);
  Guest clone = Run(Spec("a", BootMode::kCloneOfCopy));
  ASSERT_NE(clone.vm, nullptr);
  EXPECT_EQ(Usage(clone).guest_shared_bytes, 0u);
  EXPECT_GT(Usage(clone).guest_private_bytes, 1u << 20);
  EXPECT_EQ(clone.Ask("dirty 32"), "ok");
  EXPECT_EQ(Digest(template_files_.memory_path), before);
}

TEST_F(CloneTest, TemplateThatIsKilledWhileItIsSavedLeavesNothing) {
  Guest guest = Run(Spec("template", BootMode::kToBeTemplate));
  ASSERT_NE(guest.vm, nullptr);
  const pid_t pid = guest.vm->Pids().at(0);
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);  // so that the saving has begun and can't end
  absl::Status saved;
  std::thread saving([&] { saved = guest.vm->SaveTemplate(); });
  const absl::Time deadline = absl::Now() + kBootPatience;
  const std::string part = template_files_.devices_path + ".part";
  while (::access(part.c_str(), F_OK) != 0 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  saving.join();
  EXPECT_THAT(saved, StatusIs(absl::StatusCode::kUnavailable, "signal 9 (Killed)"));
  EXPECT_TRUE(std::filesystem::is_empty(absl::StrCat(root_, "/files")));
}

TEST_F(CloneTest, MountedFolderIsNamedAndNothingIsLeft) {
  VmSpec spec = Spec("template", BootMode::kToBeTemplate);
  spec.shared_folder = absl::StrCat(root_, "/shared");
  ASSERT_EQ(::mkdir(spec.shared_folder.c_str(), 0755), 0);
  Guest guest = Run(spec);
  ASSERT_NE(guest.vm, nullptr);
  ASSERT_EQ(guest.Ask("mount 9p podvisor /shared"), "ok");
  EXPECT_THAT(guest.vm->SaveTemplate(), StatusIs(absl::StatusCode::kFailedPrecondition, "is mounted in the guest"));
  EXPECT_THAT(guest.vm->Pids(), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(absl::StrCat(root_, "/files")));
}

TEST_F(CloneTest, DamagedTemplateIsAClearErrorAndLeavesNoProcess) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  const auto size = std::filesystem::file_size(template_files_.devices_path);
  const auto expect_failure = [&](const std::string& what) {
    const auto clone = driver_->Create(Spec("a", BootMode::kClone));
    EXPECT_THAT(std::string(clone.status().message()), HasSubstr(what));
    EXPECT_THAT(FindProcesses("-name", "podvisor-a,debug-threads=on"), IsEmpty());
  };
  std::filesystem::resize_file(template_files_.devices_path, size / 2);
  expect_failure("load of migration failed");
  std::ofstream(template_files_.devices_path) << "not a state of devices";
  expect_failure("load of migration failed");
  std::ofstream(template_files_.devices_path, std::ios::trunc).close();
  expect_failure("load of migration failed");
  std::filesystem::permissions(template_files_.memory_path, std::filesystem::perms::owner_all);
  std::filesystem::resize_file(template_files_.memory_path, 1 << 20);
  EXPECT_THAT(driver_->Create(Spec("a", BootMode::kClone)),
              StatusIs(absl::StatusCode::kFailedPrecondition, "make the template anew"));
  EXPECT_THAT(FindProcesses("-name", "podvisor-a,debug-threads=on"), IsEmpty());
}

}  // namespace
}  // namespace podvisor
