#include "vmm/qemu/template_key.h"

#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <iterator>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

class TemplateKeyTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/podvisor-key.XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    root_ = folder;
    for (const char* name : {"qemu", "kernel", "initrd"}) Write(name, name);
    options_.qemu_path = root_ + "/qemu";
    spec_.id = "a1";
    spec_.runtime_dir = "/run/a1";
    spec_.kernel_path = root_ + "/kernel";
    spec_.initrd_path = root_ + "/initrd";
    spec_.nic = NicSpec{7, "52:54:00:12:34:56", 1500};
    spec_.shared_folder = "/run/a1/shared";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& content) {
    ASSERT_OK(WriteFileAtomically(absl::StrCat(root_, "/", name), content, 0644));
  }

  std::string Key(const VmSpec& spec, const std::string& version = "7.2.22") {
    const auto key = QemuTemplateKey(options_, Accelerator::kTcg, version, spec);
    EXPECT_OK(key);
    return key.value_or("");
  }

  std::string root_;
  QemuOptions options_;
  VmSpec spec_;
};

TEST_F(TemplateKeyTest, WhatAPodHasOfItsOwnDoesNotCount) {
  VmSpec other = spec_;
  other.id = "b2";
  other.runtime_dir = "/run/b2";
  other.nic = NicSpec{9, "52:54:00:65:43:21", 1500};
  other.shared_folder = "/run/b2/shared";
  other.cgroup_procs = {"/sys/fs/cgroup/b2/cgroup.procs"};
  other.netns_path = "/run/netns/b2";
  other.boot = BootMode::kClone;
  other.template_files = {"/run/t/memory", "/run/t/devices"};
  EXPECT_EQ(Key(other), Key(spec_));
  EXPECT_EQ(Key(spec_).size(), 64u);
}

TEST_F(TemplateKeyTest, WhatClonesShareCounts) {
  const std::function<void(VmSpec&)> changes[] = {
      [](VmSpec& spec) { spec.vcpus = spec.max_vcpus = 2; },
      [](VmSpec& spec) { spec.max_vcpus = 3; },
      [](VmSpec& spec) { spec.memory_bytes = spec.max_memory_bytes = 512 << 20; },
      [](VmSpec& spec) { spec.max_memory_bytes = 1 << 30; },
      [](VmSpec& spec) { spec.disk_slots = 9; },
      [](VmSpec& spec) { spec.nic.reset(); },
      [](VmSpec& spec) { spec.nic->mtu = 1400; },
      [](VmSpec& spec) { spec.shared_folder.clear(); },
      [](VmSpec& spec) { spec.kernel_params = {"quiet"}; },
      [](VmSpec& spec) { spec.initrd_path.clear(); },
  };
  std::set<std::string> keys = {Key(spec_), Key(spec_, "8.0.0")};
  for (const auto& change : changes) {
    VmSpec spec = spec_;
    change(spec);
    keys.insert(Key(spec));
  }
  EXPECT_EQ(keys.size(), 2 + std::size(changes));
}

TEST_F(TemplateKeyTest, OtherFilesOfTheSameNameCount) {
  for (const char* name : {"qemu", "kernel", "initrd"}) {
    const std::string before = Key(spec_);
    Write(name, name);  // the same content: still another file
    EXPECT_NE(Key(spec_), before) << name;
  }
}

TEST_F(TemplateKeyTest, MissingKernelIsNamed) {
  std::filesystem::remove(root_ + "/kernel");
  EXPECT_THAT(QemuTemplateKey(options_, Accelerator::kTcg, "7.2.22", spec_),
              StatusIs(absl::StatusCode::kNotFound, "/kernel"));
}

}  // namespace
}  // namespace podvisor
