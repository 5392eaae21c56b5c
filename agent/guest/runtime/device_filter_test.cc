#include "agent/guest/runtime/device_filter.h"

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

void Add(DeviceRules* rules, bool allow, const std::string& type, int64_t major, const std::string& access) {
  grpc::LinuxDeviceCgroup* rule = rules->Add();
  rule->set_allow(allow);
  rule->set_type(type);
  rule->set_major(major);
  rule->set_minor(-1);
  rule->set_access(access);
}

TEST(DeviceFilterTest, WhatComesBeforeARuleForEverythingIsLeftOut) {
  DeviceRules rules;
  Add(&rules, true, "c", 1, "rwm");
  Add(&rules, false, "a", -1, "rwm");
  const auto all_denied = CompileDeviceRules(rules);
  ASSERT_OK(all_denied.status());
  // The result of the last instruction but one: denied, and nothing behind it.
  EXPECT_EQ((*all_denied)[all_denied->size() - 2].imm, 0);
  DeviceRules only_last;
  Add(&only_last, false, "a", -1, "rwm");
  EXPECT_EQ(CompileDeviceRules(only_last)->size(), all_denied->size());
}

TEST(DeviceFilterTest, JumpsStayInTheProgram) {
  DeviceRules rules;
  for (int major = 1; major < 100; ++major) Add(&rules, major % 2 == 0, major % 3 == 0 ? "b" : "c", major, "rm");
  const auto program = CompileDeviceRules(rules);
  ASSERT_OK(program.status());
  for (size_t i = 0; i < program->size(); ++i) {
    const bpf_insn& instruction = (*program)[i];
    if (BPF_CLASS(instruction.code) != BPF_JMP32) continue;
    EXPECT_GT(instruction.off, 0);
    EXPECT_LT(i + 1 + static_cast<size_t>(instruction.off), program->size());
  }
}

TEST(DeviceFilterTest, NonsenseIsNamed) {
  DeviceRules rules;
  Add(&rules, true, "z", 1, "r");
  EXPECT_THAT(CompileDeviceRules(rules), StatusIs(absl::StatusCode::kInvalidArgument, "device type \"z\""));
  rules.Clear();
  Add(&rules, true, "c", 1, "rx");
  EXPECT_THAT(CompileDeviceRules(rules), StatusIs(absl::StatusCode::kInvalidArgument, "device access \"rx\""));
}

}  // namespace
}  // namespace podvisor::guest
