// The default profile as data. Which calls are on it is a fact of the runtimes whose users we serve (Docker's
// documented default profile, which containerd shares; io_uring is off it since containerd 2.0). Names that the guest's
// libseccomp does not know are passed over by the agent.
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "podmanager/spec/seccomp.h"
#include "podmanager/spec/seccomp_arch.h"

namespace podvisor {
namespace {

// For every container, by what they are about.
constexpr absl::string_view kAlways =
    // files
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 "
    "fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
    "fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents "
    "getdents64 lchown lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat newfstatat open "
    "openat openat2 readlink readlinkat rename renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink "
    "symlinkat truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes name_to_handle_at "
    // extended attributes
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr "
    "lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat "
    // reading, writing, waiting for descriptors
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd "
    "eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy "
    "io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set _newselect pipe "
    "pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read "
    "readahead readv select sendfile sendfile64 splice sync sync_file_range syncfs tee vmsplice write writev cachestat "
    // sockets
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 "
    "recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair "
    // memory
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 "
    "mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease "
    "remap_file_pages "
    // processes, threads, identity
    "capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv "
    "futex_wake get_robust_list get_thread_area getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups "
    "getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit "
    "getrusage getsid gettid getuid getuid32 landlock_add_rule landlock_create_ruleset landlock_restrict_self "
    "pidfd_open pidfd_send_signal prctl prlimit64 rseq sched_get_priority_max sched_get_priority_min sched_getaffinity "
    "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list "
    "set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 "
    "setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
    "setsid setuid setuid32 sysinfo times ugetrlimit uname vfork wait4 waitid waitpid "
    // tracing oneself's children: the guest's kernel is newer than 4.8
    "process_vm_readv process_vm_writev ptrace "
    // signals
    "kill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn "
    "tgkill tkill "
    // time
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 "
    "clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime "
    "timerfd_gettime64 timerfd_settime timerfd_settime64 "
    // System V and POSIX IPC, random numbers
    "getrandom ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat "
    "shmctl shmdt shmget "
#if defined(__x86_64__)
    "arch_prctl modify_ldt uretprobe"
#elif defined(__aarch64__)
    "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"
#endif
    ;

struct ForCapability {
  const char* capability;
  absl::string_view calls;
};
constexpr ForCapability kForCapability[] = {
    {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
    {"CAP_SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie lsm_get_self_attr "
     "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd "
     "setdomainname sethostname setns statmount syslog umount umount2 unshare"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_CHROOT", "chroot"},
    {"CAP_SYS_MODULE", "delete_module finit_module init_module"},
    {"CAP_SYS_PACCT", "acct"},
    {"CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"},
    {"CAP_SYS_RAWIO", "ioperm iopl"},
    {"CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"CAP_SYS_TTY_CONFIG", "vhangup"},
    {"CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"CAP_SYSLOG", "syslog"},
    {"CAP_BPF", "bpf"},
    {"CAP_PERFMON", "perf_event_open"},
};

constexpr uint64_t kAddressFamilyVsock = 40;           // would reach the host past the pod's network
constexpr uint64_t kCloneNamespaceFlags = 0x7E020000;  // CLONE_NEW*
constexpr uint32_t kNoSuchCall = 38;                   // ENOSYS
// personality(2): Linux; with 16-bit uids; without randomisation (two ways); the query.
constexpr uint64_t kPersonalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

grpc::LinuxSyscall* AddRule(grpc::LinuxSeccomp* profile, absl::string_view calls) {
  grpc::LinuxSyscall* rule = profile->add_syscalls();
  rule->set_action("SCMP_ACT_ALLOW");
  for (absl::string_view call : absl::StrSplit(calls, ' ', absl::SkipEmpty())) rule->add_names(std::string(call));
  return rule;
}

// MASKED_EQ: (argument & value) == value_two.
void AddArgument(grpc::LinuxSyscall* rule, const char* op, uint64_t value) {
  grpc::LinuxSeccompArg* arg = rule->add_args();
  arg->set_index(0);
  arg->set_op(op);
  arg->set_value(value);
}

}  // namespace

grpc::LinuxSeccomp DefaultSeccompProfile(const std::set<std::string>& bounding) {
  grpc::LinuxSeccomp profile;
  profile.set_defaultaction("SCMP_ACT_ERRNO");
  profile.add_architectures(kSeccompArch);
  for (const char* arch : kSeccompSubArchs) profile.add_architectures(arch);
  AddRule(&profile, kAlways);
  AddArgument(AddRule(&profile, "socket"), "SCMP_CMP_NE", kAddressFamilyVsock);
  for (uint64_t personality : kPersonalities) AddArgument(AddRule(&profile, "personality"), "SCMP_CMP_EQ", personality);
  for (const ForCapability& entry : kForCapability)
    if (bounding.count(entry.capability) > 0) AddRule(&profile, entry.calls);
  if (bounding.count("CAP_SYS_ADMIN") == 0) {
    AddArgument(AddRule(&profile, "clone"), "SCMP_CMP_MASKED_EQ", kCloneNamespaceFlags);
    // A filter can't look into clone3's structure; C libraries fall back to clone where it does not exist.
    grpc::LinuxSyscall* clone3 = AddRule(&profile, "clone3");
    clone3->set_action("SCMP_ACT_ERRNO");
    clone3->set_errnoret(kNoSuchCall);
  }
  return profile;
}

}  // namespace podvisor
