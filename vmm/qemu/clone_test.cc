// Templates and clones with real VMs. Beyond the contract: what the guests see, and what is left of what fails.
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/event_loop.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "vmm/qemu/qemu.h"
#include "vmm/qemu/test_guest.h"

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
    template_files_ = {absl::StrCat(root_, "/template/memory"), absl::StrCat(root_, "/template/devices")};
    ASSERT_EQ(::mkdir(absl::StrCat(root_, "/template").c_str(), 0700), 0);
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

TEST_F(CloneTest, CloneGoesOnWhereTheTemplateWasSaved) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  Guest clone = Run(Spec("a", BootMode::kClone));
  ASSERT_NE(clone.vm, nullptr);
  EXPECT_EQ(clone.Ask("echo again"), "again");
}

}  // namespace
}  // namespace podvisor
