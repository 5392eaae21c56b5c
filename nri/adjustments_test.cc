#include "nri/adjustments.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

nri_api::Container Original() {
  nri_api::Container container;
  container.set_id("c1");
  container.add_args("/bin/app");
  container.add_env("PATH=/bin");
  (*container.mutable_annotations())["kept"] = "yes";
  return container;
}

nri_api::ContainerAdjustment Env(const std::string& key, const std::string& value) {
  nri_api::ContainerAdjustment adjustment;
  nri_api::KeyValue& variable = *adjustment.add_env();
  variable.set_key(key);
  variable.set_value(value);
  return adjustment;
}

nri_api::ContainerAdjustment Memory(int64_t limit) {
  nri_api::ContainerAdjustment adjustment;
  adjustment.mutable_linux()->mutable_resources()->mutable_memory()->mutable_limit()->set_value(limit);
  return adjustment;
}

TEST(AdjustmentsTest, NextPluginSeesWhatEarlierOnesDid) {
  Adjustments adjustments(Original());
  ASSERT_OK(adjustments.Add("10-a", Env("COLOR", "red")));
  EXPECT_THAT(adjustments.container().env(), ElementsAre("PATH=/bin", "COLOR=red"));
  ASSERT_OK(adjustments.Add("20-b", Memory(1 << 20)));
  EXPECT_EQ(adjustments.container().linux().resources().memory().limit().value(), 1 << 20);
  ASSERT_EQ(adjustments.adjustment().env_size(), 1);
  EXPECT_EQ(adjustments.owners().owners().at("c1").simple().at(nri_api::MemLimit), "20-b");
  EXPECT_EQ(adjustments.owners().owners().at("c1").compound().at(nri_api::Env).owners().at("COLOR"), "10-a");
}

TEST(AdjustmentsTest, ConflictNamesBothPluginsAndTheField) {
  Adjustments adjustments(Original());
  ASSERT_OK(adjustments.Add("10-a", Env("COLOR", "red")));
  const absl::Status status = adjustments.Add("20-b", Env("COLOR", "blue"));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("10-a"), HasSubstr("20-b"), HasSubstr("COLOR"), HasSubstr("c1")));
}

TEST(AdjustmentsTest, ConflictsOfEveryKind) {
  std::vector<nri_api::ContainerAdjustment> kinds(8);
  (*kinds[0].mutable_annotations())["a"] = "1";
  kinds[1].add_mounts()->set_destination("/data");
  kinds[2].add_args("/bin/other");
  kinds[3].add_rlimits()->set_type("RLIMIT_NOFILE");
  kinds[4].mutable_linux()->mutable_oom_score_adj()->set_value(5);
  kinds[5].mutable_linux()->mutable_resources()->mutable_cpu()->set_cpus("0");
  (*kinds[6].mutable_linux()->mutable_resources()->mutable_unified())["memory.high"] = "1";
  kinds[7].mutable_linux()->mutable_resources()->mutable_pids()->set_limit(7);
  for (size_t i = 0; i < kinds.size(); ++i) {
    Adjustments adjustments(Original());
    ASSERT_OK(adjustments.Add("10-a", kinds[i])) << i;
    EXPECT_THAT(adjustments.Add("10-a", kinds[i]), IsOk()) << i;
    EXPECT_THAT(adjustments.Add("20-b", kinds[i]), StatusIs(absl::StatusCode::kAlreadyExists)) << i;
  }
}

TEST(AdjustmentsTest, RemovalLetsAnotherPluginSetIt) {
  Adjustments adjustments(Original());
  ASSERT_OK(adjustments.Add("10-a", Env("COLOR", "red")));
  nri_api::ContainerAdjustment replace = Env("-COLOR", "");
  *replace.add_env() = Env("COLOR", "blue").env(0);
  ASSERT_OK(adjustments.Add("20-b", replace));
  EXPECT_THAT(adjustments.container().env(), ElementsAre("PATH=/bin", "COLOR=blue"));

  nri_api::ContainerAdjustment remove;
  (*remove.mutable_annotations())["-kept"] = "";
  ASSERT_OK(adjustments.Add("20-b", remove));
  EXPECT_THAT(adjustments.container().annotations(), IsEmpty());
  EXPECT_EQ(adjustments.adjustment().annotations().count("-kept"), 1u);

  nri_api::ContainerAdjustment args;
  args.add_args("/bin/one");
  ASSERT_OK(adjustments.Add("10-a", args));
  nri_api::ContainerAdjustment other;
  other.add_args("");
  other.add_args("/bin/two");
  ASSERT_OK(adjustments.Add("20-b", other));
  EXPECT_THAT(adjustments.container().args(), ElementsAre("/bin/two"));
}

TEST(AdjustmentsTest, WhatAVmCannotGiveIsRefusedWithPluginAndReason) {
  std::vector<std::pair<nri_api::ContainerAdjustment, std::string>> refused(7);
  refused[0].first.mutable_hooks()->add_prestart()->set_path("/bin/hook");
  refused[0].second = "hooks";
  refused[1].first.mutable_linux()->add_devices()->set_path("/dev/kvm");
  refused[1].second = "devices";
  refused[2].first.mutable_linux()->add_namespaces()->set_type("network");
  refused[2].second = "namespaces";
  refused[3].first.add_cdi_devices()->set_name("vendor/gpu=0");
  refused[3].second = "CDI";
  refused[4].first.mutable_linux()->mutable_resources()->mutable_rdt_class()->set_value("gold");
  refused[4].second = "rdt_class";
  nri_api::Mount& tmpfs = *refused[5].first.add_mounts();
  tmpfs.set_destination("/tmp");
  tmpfs.set_type("tmpfs");
  refused[5].second = "tmpfs";
  refused[6].first.mutable_linux()->set_cgroups_path("/host");
  refused[6].second = "cgroups_path";
  for (const auto& [adjustment, word] : refused) {
    Adjustments adjustments(Original());
    const absl::Status status = adjustments.Add("10-a", adjustment);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnimplemented)) << word;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("10-a"), HasSubstr(word)));
  }
}

TEST(AdjustmentsTest, UpdatesOfOtherContainersMergeAndConflict) {
  nri_api::CreateContainerResponse first, second, conflict;
  nri_api::ContainerUpdate& update = *first.add_update();
  update.set_container_id("c2");
  update.mutable_linux()->mutable_resources()->mutable_cpu()->mutable_shares()->set_value(100);
  nri_api::ContainerUpdate& other = *second.add_update();
  other.set_container_id("c2");
  other.mutable_linux()->mutable_resources()->mutable_cpu()->mutable_quota()->set_value(5000);
  Adjustments adjustments(Original());
  ASSERT_OK(adjustments.AddUpdates("10-a", first.update()));
  ASSERT_OK(adjustments.AddUpdates("20-b", second.update()));
  ASSERT_EQ(adjustments.updates().size(), 1u);
  const nri_api::LinuxCPU& cpu = adjustments.updates()[0].linux().resources().cpu();
  EXPECT_EQ(cpu.shares().value(), 100u);
  EXPECT_EQ(cpu.quota().value(), 5000);
  EXPECT_THAT(adjustments.AddUpdates("20-b", first.update()), StatusIs(absl::StatusCode::kAlreadyExists));
}

}  // namespace
}  // namespace podvisor
