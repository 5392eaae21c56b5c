#include "agent/guest/runtime/device_filter.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

#undef major  // of sys/sysmacros.h, should a header include it: they are names of fields here
#undef minor

namespace podvisor::guest {
namespace {

constexpr uint32_t kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

// Registers of the program: r1 is the context (struct bpf_cgroup_dev_ctx).
enum Register : uint8_t { kResult = 0, kContext = 1, kType = 2, kAccess = 3, kMajor = 4, kMinor = 5, kScratch = 6 };

bpf_insn Instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  return {.code = code,
          .dst_reg = static_cast<uint8_t>(to & 15),
          .src_reg = static_cast<uint8_t>(from & 15),
          .off = offset,
          .imm = value};
}
bpf_insn Load(Register to, size_t offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, to, kContext, static_cast<int16_t>(offset), 0);
}
bpf_insn Copy(Register to, Register from) { return Instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
bpf_insn Set(Register to, int32_t value) { return Instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
bpf_insn And(Register to, uint32_t mask) {
  return Instruction(BPF_ALU64 | BPF_AND | BPF_K, to, 0, 0, static_cast<int32_t>(mask));
}
bpf_insn ShiftRight(Register to, int32_t bits) { return Instruction(BPF_ALU64 | BPF_RSH | BPF_K, to, 0, 0, bits); }
// Jumps whose distance is filled in when the end of the rule is known.
bpf_insn SkipUnlessEqual(Register left, uint32_t right) {
  return Instruction(BPF_JMP32 | BPF_JNE | BPF_K, left, 0, 0, static_cast<int32_t>(right));
}
bpf_insn SkipIfZero(Register left) { return Instruction(BPF_JMP32 | BPF_JEQ | BPF_K, left, 0, 0, 0); }
bpf_insn Exit() { return Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

absl::StatusOr<uint32_t> AccessOf(const grpc::LinuxDeviceCgroup& rule) {
  uint32_t access = 0;
  for (const char c : rule.access()) {
    const uint32_t bit = c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
    if (c != 'r' && c != 'w' && c != 'm') {
      return absl::InvalidArgumentError(absl::StrCat("device access \"", rule.access(), "\" is not of r, w and m"));
    }
    access |= bit;
  }
  return access == 0 ? kAllAccess : access;
}

// Zero and -1 both occur for "any": zero is no device's major number, and where the type is "a" nothing else is meant.
bool IsAny(const grpc::LinuxDeviceCgroup& rule, int64_t number) { return number < 0 || rule.type() == "a"; }

// True if it fits whatever is asked: then no rule before it counts.
absl::StatusOr<bool> AddRule(const grpc::LinuxDeviceCgroup& rule, std::vector<bpf_insn>* program) {
  ASSIGN_OR_RETURN(const uint32_t access, AccessOf(rule));
  const size_t start = program->size();
  if (rule.type() == "b" || rule.type() == "c") {
    program->push_back(SkipUnlessEqual(kType, rule.type() == "b" ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
  } else if (rule.type() != "a" && !rule.type().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("device type \"", rule.type(), "\" is not a, b or c"));
  }
  if (access != kAllAccess) {
    program->push_back(Copy(kScratch, kAccess));
    program->push_back(And(kScratch, rule.allow() ? kAllAccess & ~access : access));
    program->push_back(rule.allow() ? SkipUnlessEqual(kScratch, 0) : SkipIfZero(kScratch));
  }
  if (!IsAny(rule, rule.major())) program->push_back(SkipUnlessEqual(kMajor, static_cast<uint32_t>(rule.major())));
  if (!IsAny(rule, rule.minor())) program->push_back(SkipUnlessEqual(kMinor, static_cast<uint32_t>(rule.minor())));
  const bool always = program->size() == start;
  program->push_back(Set(kResult, rule.allow() ? 1 : 0));
  program->push_back(Exit());
  for (size_t at = start; at < program->size(); ++at) {
    if (BPF_CLASS((*program)[at].code) == BPF_JMP32)
      (*program)[at].off = static_cast<int16_t>(program->size() - at - 1);
  }
  return always;
}

bool AllowsEverything(const DeviceRules& rules) {
  if (rules.empty()) return true;
  const grpc::LinuxDeviceCgroup& last = rules[rules.size() - 1];
  return last.allow() && (last.type() == "a" || last.type().empty()) && last.access().size() == 3;
}

bool SameProgram(const std::vector<bpf_insn>& left, const std::vector<bpf_insn>& right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size() * sizeof(bpf_insn)) == 0;
}

absl::Status Attach(int program, int cgroup_fd) {
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(cgroup_fd);
  attach.attach_bpf_fd = static_cast<uint32_t>(program);
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) != 0) {
    return ErrnoStatus(errno, "attach the device filter");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<bpf_insn>> CompileDeviceRules(const DeviceRules& rules) {
  std::vector<bpf_insn> program = {Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
                                   Copy(kAccess, kType),
                                   And(kType, 0xffff),
                                   ShiftRight(kAccess, 16),
                                   Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
                                   Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor))};
  for (int i = rules.size() - 1; i >= 0; --i) {
    ASSIGN_OR_RETURN(const bool always, AddRule(rules[i], &program));
    if (always) return program;  // the kernel refuses what can never be reached
  }
  program.push_back(Set(kResult, 1));
  program.push_back(Exit());
  return program;
}

absl::StatusOr<int> DeviceFilters::Load(std::vector<bpf_insn> instructions) {
  constexpr size_t kMaxEntries = 4;
  for (const Entry& entry : entries_) {
    if (SameProgram(entry.instructions, instructions)) return entry.program.get();
  }
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<uint64_t>(instructions.data());
  load.insn_cnt = static_cast<uint32_t>(instructions.size());
  load.license = reinterpret_cast<uint64_t>("Apache-2.0");
  UniqueFd program(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load))));
  if (!program.ok()) return ErrnoStatus(errno, "load the device filter");
  if (entries_.size() == kMaxEntries) entries_.pop_front();
  entries_.push_back({std::move(instructions), std::move(program)});
  return entries_.back().program.get();
}

absl::Status DeviceFilters::Apply(const DeviceRules& rules, int cgroup_fd) {
  if (AllowsEverything(rules)) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<bpf_insn> instructions, CompileDeviceRules(rules));
  ASSIGN_OR_RETURN(const int program, Load(std::move(instructions)));
  return Attach(program, cgroup_fd);
}

absl::Status DeviceFilters::StayOn(int cgroup_fd) {
  ASSIGN_OR_RETURN(const int program, Load({Set(kResult, 1), Exit()}));
  return Attach(program, cgroup_fd);
}

}  // namespace podvisor::guest
