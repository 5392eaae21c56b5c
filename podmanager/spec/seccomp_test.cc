#include "podmanager/spec/seccomp.h"

#include <fstream>
#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// The rules that name `call`.
std::vector<grpc::LinuxSyscall> RulesOf(const grpc::LinuxSeccomp& profile, const std::string& call) {
  std::vector<grpc::LinuxSyscall> rules;
  for (const grpc::LinuxSyscall& rule : profile.syscalls())
    for (const std::string& name : rule.names())
      if (name == call) rules.push_back(rule);
  return rules;
}

bool AllowedAlways(const grpc::LinuxSeccomp& profile, const std::string& call) {
  for (const grpc::LinuxSyscall& rule : RulesOf(profile, call))
    if (rule.action() == "SCMP_ACT_ALLOW" && rule.args_size() == 0) return true;
  return false;
}

TEST(DefaultProfileTest, AllowsWhatProgramsUseAndNoMore) {
  const grpc::LinuxSeccomp profile = DefaultSeccompProfile({"CAP_CHOWN"});
  EXPECT_EQ(profile.defaultaction(), "SCMP_ACT_ERRNO");
  EXPECT_GE(profile.architectures_size(), 2);
  for (const char* call : {"read", "write", "openat", "execve", "mmap", "futex", "ptrace", "getxattr", "sched_yield"})
    EXPECT_TRUE(AllowedAlways(profile, call)) << call;
  for (const char* call : {"mount", "setns", "unshare", "bpf", "reboot", "init_module", "kexec_load", "keyctl",
                           "add_key", "swapon", "io_uring_setup", "userfaultfd", "settimeofday", "chroot", "syslog"})
    EXPECT_TRUE(RulesOf(profile, call).empty()) << call;
}

TEST(DefaultProfileTest, NamesNoCallTwiceInTheGeneralRule) {
  const grpc::LinuxSeccomp profile = DefaultSeccompProfile({});
  std::set<std::string> seen;
  for (const std::string& name : profile.syscalls(0).names()) EXPECT_TRUE(seen.insert(name).second) << name;
  EXPECT_GT(seen.size(), 330u);
}

TEST(DefaultProfileTest, CapabilitiesOpenTheirCalls) {
  const struct {
    const char* capability;
    const char* call;
  } kCases[] = {{"CAP_SYS_ADMIN", "mount"},
                {"CAP_SYS_CHROOT", "chroot"},
                {"CAP_SYS_TIME", "settimeofday"},
                {"CAP_SYS_MODULE", "init_module"},
                {"CAP_SYS_BOOT", "reboot"},
                {"CAP_SYSLOG", "syslog"},
                {"CAP_BPF", "bpf"},
                {"CAP_PERFMON", "perf_event_open"},
                {"CAP_SYS_NICE", "mbind"}};
  for (const auto& c : kCases) {
    EXPECT_FALSE(AllowedAlways(DefaultSeccompProfile({}), c.call)) << c.call;
    EXPECT_TRUE(AllowedAlways(DefaultSeccompProfile({c.capability}), c.call)) << c.call;
  }
}

TEST(DefaultProfileTest, NewNamespacesNeedSysAdmin) {
  const grpc::LinuxSeccomp plain = DefaultSeccompProfile({});
  ASSERT_EQ(RulesOf(plain, "clone").size(), 1u);
  const grpc::LinuxSyscall clone = RulesOf(plain, "clone")[0];
  ASSERT_EQ(clone.args_size(), 1);
  EXPECT_EQ(clone.args(0).op(), "SCMP_CMP_MASKED_EQ");
  EXPECT_EQ(clone.args(0).value(), 0x7E020000u);
  EXPECT_EQ(clone.args(0).valuetwo(), 0u);
  ASSERT_EQ(RulesOf(plain, "clone3").size(), 1u);
  EXPECT_EQ(RulesOf(plain, "clone3")[0].action(), "SCMP_ACT_ERRNO");
  EXPECT_EQ(RulesOf(plain, "clone3")[0].errnoret(), 38u);

  const grpc::LinuxSeccomp admin = DefaultSeccompProfile({"CAP_SYS_ADMIN"});
  EXPECT_TRUE(AllowedAlways(admin, "clone"));
  EXPECT_TRUE(AllowedAlways(admin, "clone3"));
  EXPECT_EQ(RulesOf(admin, "clone3").size(), 1u);
}

TEST(ParseProfileTest, ReadsTheOciForm) {
  auto profile = ParseSeccompProfile(R"({
    "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [{"names": ["chmod", "fchmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
                 {"names": ["personality"], "action": "SCMP_ACT_LOG",
                  "args": [{"index": 1, "value": 8, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ"}]}]})",
                                     {});
  ASSERT_OK(profile);
  EXPECT_EQ(profile->defaultaction(), "SCMP_ACT_ALLOW");
  ASSERT_EQ(profile->architectures_size(), 1);
  EXPECT_EQ(profile->flags(0), "SECCOMP_FILTER_FLAG_LOG");
  ASSERT_EQ(profile->syscalls_size(), 2);
  EXPECT_EQ(profile->syscalls(0).names_size(), 2);
  EXPECT_EQ(profile->syscalls(0).errnoret(), 13u);
  EXPECT_EQ(profile->syscalls(1).ErrnoRet_case(), grpc::LinuxSyscall::ERRNORET_NOT_SET);
  EXPECT_EQ(profile->syscalls(1).args(0).index(), 1u);
  EXPECT_EQ(profile->syscalls(1).args(0).valuetwo(), 4u);
}

TEST(ParseProfileTest, ReadsDockersConditions) {
  const std::string json = R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}],
    "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                 {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": null, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
                 {"name": "s390_runtime_instr", "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
                 {"name": "read", "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "arm64"]}}]})";
  auto plain = ParseSeccompProfile(json, {});
  ASSERT_OK(plain);
  EXPECT_GE(plain->architectures_size(), 1);
  EXPECT_EQ(RulesOf(*plain, "mount").size(), 0u);
  EXPECT_EQ(RulesOf(*plain, "clone").size(), 1u);
  EXPECT_EQ(RulesOf(*plain, "read").size(), 1u);
  EXPECT_EQ(RulesOf(*plain, "s390_runtime_instr").size(), 0u);
  auto admin = ParseSeccompProfile(json, {"CAP_SYS_ADMIN"});
  ASSERT_OK(admin);
  EXPECT_EQ(RulesOf(*admin, "mount").size(), 1u);
  EXPECT_EQ(RulesOf(*admin, "clone").size(), 0u);
}

TEST(ParseProfileTest, RefusesWhatIsWrong) {
  const struct {
    const char* json;
    absl::StatusCode code;
    const char* error;
  } kCases[] = {
      {"", kInvalid, "parse error"},
      {"[]", kInvalid, "not a JSON object"},
      {"{}", kInvalid, "defaultAction"},
      {R"({"defaultAction": 7})", kInvalid, "type must be string"},
      {R"({"defaultAction": "SCMP_ACT_FLY"})", kInvalid, "SCMP_ACT_FLY"},
      {R"({"defaultAction": "SCMP_ACT_NOTIFY"})", kInvalid, "SCMP_ACT_NOTIFY"},
      {R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38})", absl::StatusCode::kUnimplemented, "EPERM"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_LOG"}]})", kInvalid, "without names"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"]}]})", kInvalid, "action"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "a", "action": "SCMP_ACT_LOG"}]})", kInvalid, ""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW",
           "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]})",
       kInvalid, "index 6"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW",
           "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 1, "op": "IS"}]}]})",
       kInvalid, "\"IS\""},
  };
  for (const auto& c : kCases) EXPECT_THAT(ParseSeccompProfile(c.json, {}), StatusIs(c.code, c.error)) << c.json;
}

TEST(LoadProfileTest, ReadsAFile) {
  const std::string path = testing::TempDir() + "/profile.json";
  std::ofstream(path) << "content";
  auto content = LoadSeccompProfile(path);
  ASSERT_OK(content);
  EXPECT_EQ(*content, "content");
  ASSERT_EQ(std::remove(path.c_str()), 0);
  EXPECT_THAT(LoadSeccompProfile(path), StatusIs(absl::StatusCode::kNotFound, path));
  EXPECT_THAT(LoadSeccompProfile("profiles/x.json"), StatusIs(kInvalid, "absolute"));
}

}  // namespace
}  // namespace podvisor
