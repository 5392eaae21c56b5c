// The contract's part about templates and clones.
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "vmm/contract_test.h"

namespace podvisor {
namespace {

using testing::IsEmpty;
using testing::Not;

std::string Content(const std::string& path) {
  std::error_code error;
  std::string content(std::filesystem::file_size(path, error), '\0');
  EXPECT_FALSE(error) << path << ": " << error.message();
  std::ifstream(path, std::ios::binary).read(content.data(), static_cast<std::streamsize>(content.size()));
  return content;
}

}  // namespace

TemplateFiles HypervisorContractTest::Files() {
  return {absl::StrCat(root_, "/memory"), absl::StrCat(root_, "/devices")};
}

VmSpec HypervisorContractTest::SpecOf(const std::string& id, BootMode boot) {
  VmSpec spec = world_->Spec(id, RuntimeDir(id));
  spec.boot = boot;
  spec.template_files = Files();
  return spec;
}

std::unique_ptr<Vm> HypervisorContractTest::BootTemplate() {
  auto vm = hypervisor_->Create(SpecOf("source", BootMode::kToBeTemplate));
  EXPECT_OK(vm);
  if (!vm.ok()) return nullptr;
  EXPECT_OK((*vm)->Start());
  const absl::Time deadline = absl::Now() + world_->patience();
  while (!absl::StrContains((*vm)->ConsoleTail(1 << 20), world_->console_text()) && absl::Now() < deadline)
    absl::SleepFor(absl::Milliseconds(20));  // the console has no event to wait for
  return *std::move(vm);
}

void HypervisorContractTest::MakeTemplate() {
  std::unique_ptr<Vm> vm = BootTemplate();
  ASSERT_NE(vm, nullptr);
  ASSERT_OK(vm->SaveTemplate());
  EXPECT_THAT(vm->Pids(), IsEmpty());
  EXPECT_OK(vm->Stop(absl::ZeroDuration()));
}

TEST_P(HypervisorContractTest, DriversWithoutClonesSaySo) {
  if (hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes clones";
  EXPECT_FALSE(hypervisor_->capabilities().clone_of_copy);
  EXPECT_THAT(hypervisor_->TemplateKey(world_->Spec("a1", RuntimeDir("a1"))),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(hypervisor_->Create(SpecOf("a1", BootMode::kClone)), Not(IsOk()));
}

TEST_P(HypervisorContractTest, ClonesAreMachinesOfTheirOwn) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  const std::string memory = Content(Files().memory_path), devices = Content(Files().devices_path);
  EXPECT_THAT(memory, Not(IsEmpty()));
  EXPECT_THAT(devices, Not(IsEmpty()));
  std::vector<std::unique_ptr<Vm>> clones;
  std::set<std::string> records, channels;
  for (const char* id : {"a1", "b1", "c1"}) {
    auto clone = hypervisor_->Create(SpecOf(id, BootMode::kClone));
    ASSERT_OK(clone);
    EXPECT_OK((*clone)->Start());
    EXPECT_OK((*clone)->AttachDisk({.path = MakeDisk(absl::StrCat("disk-", id))}));
    records.insert((*clone)->Record());
    channels.insert((*clone)->agent_channel().path);
    clones.push_back(*std::move(clone));
  }
  EXPECT_EQ(records.size(), 3u);
  EXPECT_EQ(channels.size(), 3u);
  world_->Kill("b1", *clones[1]);
  EXPECT_OK(clones[1]->Stop(absl::ZeroDuration()));
  EXPECT_OK(clones[0]->Start()) << "another clone's end is its own";
  EXPECT_OK(clones[0]->Stop(absl::ZeroDuration()));
  EXPECT_OK(clones[2]->Stop(absl::ZeroDuration()));
  EXPECT_TRUE(memory == Content(Files().memory_path)) << "a clone has written to the template";
  EXPECT_TRUE(devices == Content(Files().devices_path)) << "a clone has written to the template";
}

TEST_P(HypervisorContractTest, CloneNeedsNoFilesOnceItHasBeenCreated) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  for (const BootMode boot : {BootMode::kClone, BootMode::kCloneOfCopy}) {
    if (boot == BootMode::kCloneOfCopy && !hypervisor_->capabilities().clone_of_copy) continue;
    const std::string id = boot == BootMode::kClone ? "a1" : "b1";
    auto clone = hypervisor_->Create(SpecOf(id, boot));
    ASSERT_OK(clone);
    for (const std::string& path : {Files().memory_path, Files().devices_path})
      ASSERT_EQ(::rename(path.c_str(), (path + ".gone").c_str()), 0);
    EXPECT_OK((*clone)->Start());
    EXPECT_OK((*clone)->Stop(absl::ZeroDuration()));
    for (const std::string& path : {Files().memory_path, Files().devices_path})
      ASSERT_EQ(::rename((path + ".gone").c_str(), path.c_str()), 0);
  }
}

TEST_P(HypervisorContractTest, CloneIsAdopted) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  auto clone = hypervisor_->Create(SpecOf("a1", BootMode::kClone));
  ASSERT_OK(clone);
  ASSERT_OK((*clone)->Start());
  const std::string record = (*clone)->Record();
  clone->reset();
  RestartDaemon();
  auto adopted = hypervisor_->Adopt(record);
  ASSERT_OK(adopted);
  EXPECT_OK((*adopted)->Start());
  EXPECT_OK((*adopted)->AttachDisk({.path = MakeDisk("d1")}));
  EXPECT_THAT((*adopted)->SaveTemplate(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK((*adopted)->Stop(absl::ZeroDuration()));
}

TEST_P(HypervisorContractTest, OnlyATemplateToBeIsSaved) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  std::unique_ptr<Vm> vm = CreateAndStart("a1");
  ASSERT_NE(vm, nullptr);
  EXPECT_THAT(vm->SaveTemplate(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(vm->Start()) << "it goes on";
}

TEST_P(HypervisorContractTest, TemplateThatDiesBeforeItIsSavedIsOfNoUse) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  std::unique_ptr<Vm> vm = BootTemplate();
  ASSERT_NE(vm, nullptr);
  EXPECT_THAT(hypervisor_->Create(SpecOf("a1", BootMode::kClone)), Not(IsOk())) << "it has not been saved";
  world_->Kill("source", *vm);
  EXPECT_THAT(vm->SaveTemplate(), Not(IsOk()));
  EXPECT_THAT(hypervisor_->Create(SpecOf("a1", BootMode::kClone)), Not(IsOk()));
}

TEST_P(HypervisorContractTest, CloneOfNothingFails) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  EXPECT_THAT(hypervisor_->Create(SpecOf("a1", BootMode::kClone)), StatusIs(absl::StatusCode::kNotFound));
  if (hypervisor_->capabilities().clone_of_copy) {
    EXPECT_THAT(hypervisor_->Create(SpecOf("a1", BootMode::kCloneOfCopy)), StatusIs(absl::StatusCode::kNotFound));
  }
  EXPECT_NE(Create("good"), nullptr);
}

TEST_P(HypervisorContractTest, KeyIsOfWhatClonesShare) {
  if (!hypervisor_->capabilities().clone) GTEST_SKIP() << "the driver makes no clones";
  const VmSpec a = SpecOf("a1", BootMode::kToBeTemplate);
  const auto key = hypervisor_->TemplateKey(a);
  ASSERT_OK(key);
  EXPECT_EQ(key->size(), 64u);
  EXPECT_EQ(hypervisor_->TemplateKey(SpecOf("b1", BootMode::kClone)).value_or(""), *key);
  VmSpec other = a;
  other.memory_bytes *= 2;
  EXPECT_NE(hypervisor_->TemplateKey(other).value_or(*key), *key);
  other = a;
  other.kernel_params.push_back("agent.log=debug");
  EXPECT_NE(hypervisor_->TemplateKey(other).value_or(*key), *key);
  RestartDaemon();
  EXPECT_EQ(hypervisor_->TemplateKey(a).value_or(""), *key);
}

}  // namespace podvisor
