#include "agent/guest/launch/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {
namespace {

absl::StatusOr<uint32_t> ActionFrom(const std::string& name, uint32_t errno_value) {
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(errno_value);
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(errno_value);
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  return absl::InvalidArgumentError(absl::StrCat("seccomp action \"", name, "\" is not supported"));
}

absl::StatusOr<scmp_compare> OperatorFrom(const std::string& name) {
  struct Known {
    const char* name;
    scmp_compare value;
  };
  constexpr Known kOperators[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
                                  {"SCMP_CMP_LT", SCMP_CMP_LT},
                                  {"SCMP_CMP_LE", SCMP_CMP_LE},
                                  {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                  {"SCMP_CMP_GE", SCMP_CMP_GE},
                                  {"SCMP_CMP_GT", SCMP_CMP_GT},
                                  {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  for (const Known& known : kOperators) {
    if (name == known.name) return known.value;
  }
  return absl::InvalidArgumentError(absl::StrCat("seccomp operator \"", name, "\" is not supported"));
}

// "SCMP_ARCH_X86_64" -> "x86_64", libseccomp's name.
absl::Status AddArchitecture(scmp_filter_ctx context, const std::string& name) {
  const std::string prefix = "SCMP_ARCH_";
  std::string lower = name.substr(name.rfind(prefix, 0) == 0 ? prefix.size() : 0);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const uint32_t architecture = seccomp_arch_resolve_name(lower.c_str());
  if (architecture == 0) return absl::InvalidArgumentError(absl::StrCat("seccomp architecture \"", name, "\""));
  const int result = seccomp_arch_add(context, architecture);
  if (result != 0 && result != -EEXIST) return ErrnoStatus(-result, absl::StrCat("seccomp architecture ", name));
  return absl::OkStatus();
}

absl::StatusOr<unsigned> FlagFrom(const std::string& flag) {
  if (flag == "SECCOMP_FILTER_FLAG_TSYNC") return 0u;  // there is one thread before exec
  if (flag == "SECCOMP_FILTER_FLAG_LOG") return unsigned{SECCOMP_FILTER_FLAG_LOG};
  if (flag == "SECCOMP_FILTER_FLAG_SPEC_ALLOW") return unsigned{SECCOMP_FILTER_FLAG_SPEC_ALLOW};
  return absl::InvalidArgumentError(absl::StrCat("seccomp flag \"", flag, "\" is not supported"));
}

absl::Status AddRule(scmp_filter_ctx context, uint32_t action, const std::string& name,
                     const std::vector<scmp_arg_cmp>& arguments) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number == __NR_SCMP_ERROR) return absl::OkStatus();
  int result = 0;
  bool repeated = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    for (size_t j = 0; j < i; ++j) repeated |= arguments[i].arg == arguments[j].arg;
  }
  if (!repeated) {
    result = seccomp_rule_add_array(context, action, number, static_cast<unsigned>(arguments.size()), arguments.data());
  } else {
    // libseccomp takes each argument once per rule; several of one argument are alternatives, as runc has it.
    for (const scmp_arg_cmp& argument : arguments) {
      if (result == 0) result = seccomp_rule_add_array(context, action, number, 1, &argument);
    }
  }
  if (result != 0 && result != -EEXIST) return ErrnoStatus(-result, absl::StrCat("seccomp rule for ", name));
  return absl::OkStatus();
}

absl::Status AddRules(scmp_filter_ctx context, const grpc::LinuxSyscall& syscall, uint32_t default_action) {
  const uint32_t errno_value = syscall.ErrnoRet_case() == grpc::LinuxSyscall::kErrnoret ? syscall.errnoret() : EPERM;
  ASSIGN_OR_RETURN(const uint32_t action, ActionFrom(syscall.action(), errno_value));
  if (action == default_action) return absl::OkStatus();  // libseccomp refuses such rules
  std::vector<scmp_arg_cmp> arguments;
  for (const grpc::LinuxSeccompArg& arg : syscall.args()) {
    ASSIGN_OR_RETURN(const scmp_compare op, OperatorFrom(arg.op()));
    if (arg.index() > 5) return absl::InvalidArgumentError("seccomp argument index is above 5");
    arguments.push_back(
        {.arg = static_cast<unsigned>(arg.index()), .op = op, .datum_a = arg.value(), .datum_b = arg.valuetwo()});
  }
  for (const std::string& name : syscall.names()) RETURN_IF_ERROR(AddRule(context, action, name, arguments));
  return absl::OkStatus();
}

struct ContextDeleter {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextDeleter>;

absl::StatusOr<Context> Assemble(const grpc::LinuxSeccomp& spec) {
  ASSIGN_OR_RETURN(const uint32_t default_action, ActionFrom(spec.defaultaction(), EPERM));
  Context context(seccomp_init(default_action));
  if (context == nullptr) return absl::InternalError("seccomp_init failed");
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (const std::string& name : spec.architectures()) RETURN_IF_ERROR(AddArchitecture(context.get(), name));
  for (const grpc::LinuxSyscall& syscall : spec.syscalls()) {
    RETURN_IF_ERROR(AddRules(context.get(), syscall, default_action));
  }
  return context;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const SeccompFilter>> SeccompFilter::Build(const grpc::LinuxSeccomp& spec) {
  std::shared_ptr<SeccompFilter> filter(new SeccompFilter());
  for (const std::string& name : spec.flags()) {
    ASSIGN_OR_RETURN(const unsigned flag, FlagFrom(name));
    filter->flags_ |= flag;
  }
  ASSIGN_OR_RETURN(const Context context, Assemble(spec));
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file.ok()) return ErrnoStatus(errno, "memfd_create");
  if (const int result = seccomp_export_bpf(context.get(), file.get()); result != 0) {
    return ErrnoStatus(-result, "make the seccomp filter");
  }
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  filter->program_.resize(static_cast<size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), filter->program_.data(), static_cast<size_t>(size), 0) != size) {
    return ErrnoStatus(errno, "read the seccomp filter");
  }
  return std::shared_ptr<const SeccompFilter>(std::move(filter));
}

absl::Status SeccompFilter::Load() const {
  const sock_fprog program{.len = static_cast<uint16_t>(program_.size()),
                           .filter = const_cast<sock_filter*>(program_.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags_, &program) != 0) {
    return ErrnoStatus(errno, "load the seccomp filter");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const SeccompFilter>> SeccompFilters::Get(const grpc::LinuxSeccomp& spec) {
  constexpr size_t kMaxEntries = 4;
  std::string key = spec.SerializeAsString();
  for (const Entry& entry : entries_) {
    if (entry.spec == key) return entry.filter;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const SeccompFilter> filter, SeccompFilter::Build(spec));
  if (entries_.size() == kMaxEntries) entries_.pop_front();
  entries_.push_back({std::move(key), filter});
  return filter;
}

}  // namespace podvisor::guest
