#include "vmm/qemu/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "vmm/qemu/command_line.h"
#include "vmm/qemu/confinement.h"
#include "vmm/qemu/private_memory.h"
#include "vmm/qemu/template_files.h"
#include "vmm/qemu/unix_socket.h"

namespace podvisor {
namespace {

constexpr size_t kStderrBytes = 64 << 10;
constexpr rlim_t kOpenFiles = 65536;  // the 9p server holds one for each file that the guest has open

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  return fd;
}

// Of a fixed size: a write beyond its end fails.
absl::StatusOr<UniqueFd> MakeStderrFile() {
  UniqueFd fd(::memfd_create("qemu-stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.ok()) return ErrnoStatus(errno, "memfd_create");
  if (::ftruncate(fd.get(), kStderrBytes) != 0) return ErrnoStatus(errno, "ftruncate of a memfd");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return ErrnoStatus(errno, "seal a memfd");
  return fd;
}

absl::StatusOr<std::string> RealPath(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return ErrnoStatus(errno, path);
  std::string result = resolved;
  ::free(resolved);
  return result;
}

// A kernel or initrd. QEMU opens it as a user without rights to it.
absl::Status CheckReadable(const std::string& what, const std::string& path, const ProcessCredentials* user) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY), what, " (build one with guest/build)");
  struct stat stat = {};
  if (::fstat(fd.get(), &stat) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  if (!S_ISREG(stat.st_mode)) return absl::InvalidArgumentError(absl::StrCat(what, " ", path, ": not a file"));
  if (user != nullptr && user->uid != 0 && (stat.st_mode & S_IROTH) == 0)
    return absl::PermissionDeniedError(
        absl::StrCat(what, " ", path, ": QEMU's own user can't read it: chmod o+r it, or run QEMU as root"));
  return absl::OkStatus();
}

// A clone's kernel is in its memory.
absl::Status CheckKernel(const VmSpec& spec, const ProcessCredentials* user) {
  if (IsClone(spec.boot)) return absl::OkStatus();
  RETURN_IF_ERROR(CheckReadable("guest kernel", spec.kernel_path, user));
  if (!spec.initrd_path.empty()) RETURN_IF_ERROR(CheckReadable("guest initrd", spec.initrd_path, user));
  return absl::OkStatus();
}

// All that QEMU sees of the host's files. Folders at the top that are links into /usr stay links.
absl::StatusOr<MountTree> MakeTree(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec) {
  using Access = MountTree::Access;
  MountTree tree;
  ASSIGN_OR_RETURN(const std::string program, RealPath(options.qemu_path));
  const std::string top = program.substr(0, program.find('/', 1));
  std::vector<std::string> folders = {"/usr", "/bin", "/lib", "/lib64"};
  if (std::find(folders.begin(), folders.end(), top) == folders.end()) folders.push_back(top);
  for (const std::string& folder : folders) {
    char target[PATH_MAX];
    const ssize_t length = ::readlink(folder.c_str(), target, sizeof target);
    if (length > 0)
      tree.Symlink(std::string(target, static_cast<size_t>(length)), folder);
    else if (::access(folder.c_str(), F_OK) == 0)
      tree.Bind(folder, folder, Access::kReadOnly);
  }
  for (const char* file : {"/etc/ld.so.cache", "/etc/alternatives"})
    if (::access(file, F_OK) == 0) tree.Bind(file, file, Access::kReadOnly);
  for (const char* device : {"/dev/null", "/dev/urandom"}) tree.Bind(device, device, Access::kAsItIs);
  if (accelerator == Accelerator::kKvm) tree.Bind("/dev/kvm", "/dev/kvm", Access::kAsItIs);
  const bool boots = !IsClone(spec.boot);
  if (boots) tree.Bind(spec.kernel_path, "/guest/kernel", Access::kReadOnly);
  if (boots && !spec.initrd_path.empty()) tree.Bind(spec.initrd_path, "/guest/initrd", Access::kReadOnly);
  if (!spec.shared_folder.empty()) tree.Bind(spec.shared_folder, "/shared", Access::kAsItIs);
  tree.Proc("/proc");  // the 9p server reaches modes and attributes of open files by /proc/self/fd
  return tree;
}

// Rights to files of any owner, below a root that holds nothing but the shared folder: what passthrough takes.
const std::vector<int>& NinePCapabilities() {
  static const auto& capabilities =
      *new std::vector<int>{CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID};
  return capabilities;
}

absl::StatusOr<ProcessCredentials> MakeCredentials(const QemuOptions& options, Accelerator accelerator,
                                                   const VmSpec& spec) {
  ASSIGN_OR_RETURN(const QemuUser user, ResolveUser(options.user, spec.id));
  ProcessCredentials credentials = {user.uid, user.gid, {}, {}};
  if (!spec.shared_folder.empty()) credentials.capabilities = NinePCapabilities();
  if (accelerator == Accelerator::kKvm) {
    struct stat kvm = {};
    if (::stat("/dev/kvm", &kvm) != 0) return ErrnoStatus(errno, "stat /dev/kvm");
    if ((kvm.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP))
      credentials.groups.push_back(kvm.st_gid);
    else if ((kvm.st_mode & (S_IROTH | S_IWOTH)) != (S_IROTH | S_IWOTH) && user.uid != kvm.st_uid)
      return absl::FailedPreconditionError(
          "/dev/kvm is for root only: give it a group with mode 0660, or run QEMU as root");
  }
  return credentials;
}

// Descriptors that steps use, open until the child has exec'ed. Out of the way of those that the child is given.
using Held = std::list<UniqueFd>;
constexpr int kFirstHeld = 64;

absl::StatusOr<int> OpenHeld(const std::string& path, int flags, Held& held) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, flags));
  const int number = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstHeld);
  if (number < 0) return ErrnoStatus(errno, absl::StrCat("duplicate the descriptor of ", path));
  held.emplace_back(number);
  return number;
}

absl::Status AddPlacementSteps(const QemuOptions& options, const VmSpec& spec, Held& held,
                               std::vector<ChildStep>& steps) {
  for (const std::string& path : spec.cgroup_procs) {
    ASSIGN_OR_RETURN(const int number, OpenHeld(path, O_WRONLY, held));
    steps.push_back({"enter the cgroup", [number] { return ::write(number, "0", 1) == 1 ? 0 : errno; }});
  }
  if (!spec.netns_path.empty()) {
    ASSIGN_OR_RETURN(const int number, OpenHeld(spec.netns_path, O_RDONLY, held));
    steps.push_back(
        {"enter the network namespace", [number] { return ::setns(number, CLONE_NEWNET) == 0 ? 0 : errno; }});
  }
  if (options.oom_score_adj != 0) {
    const auto text = std::make_shared<std::string>(absl::StrCat(options.oom_score_adj));
    steps.push_back({"set oom_score_adj", [text] {
                       const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
                       if (fd < 0) return errno;
                       const int error = ::write(fd, text->data(), text->size()) < 0 ? errno : 0;
                       ::close(fd);
                       return error == EACCES ? 0 : error;  // a lower value than ours takes a right; do without
                     }});
  }
  steps.push_back({"set limits", [] {
                     const rlimit none = {0, 0};  // a core would hold the guest's memory
                     if (::setrlimit(RLIMIT_CORE, &none) != 0) return errno;
                     rlimit files = {};
                     if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return errno;
                     files.rlim_cur = files.rlim_max < kOpenFiles ? files.rlim_max : kOpenFiles;
                     files.rlim_max = files.rlim_cur;
                     return ::setrlimit(RLIMIT_NOFILE, &files) == 0 ? 0 : errno;
                   }});
  return absl::OkStatus();
}

void Append(std::vector<ChildStep> more, std::vector<ChildStep>& steps) {
  steps.insert(steps.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::string QmpSocketPath(const std::string& runtime_dir) { return absl::StrCat(runtime_dir, "/qmp.sock"); }
std::string AgentSocketPath(const std::string& runtime_dir) { return absl::StrCat(runtime_dir, "/agent.sock"); }
std::string ConsoleSocketPath(const std::string& runtime_dir) { return absl::StrCat(runtime_dir, "/console.sock"); }

absl::StatusOr<QemuUser> ResolveUser(const std::string& user, const std::string& id) {
  if (user == "auto") {
    uint64_t hash = 14695981039346656037ULL;  // FNV-1a: the same in every daemon
    for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    const uid_t uid = kFirstUid + static_cast<uid_t>((hash ^ hash >> 20) % kUids);
    return QemuUser{uid, uid};
  }
  const std::vector<std::string> numbers = absl::StrSplit(user, ':');
  QemuUser result;
  if (numbers.size() == 2 && absl::SimpleAtoi(numbers[0], &result.uid) && absl::SimpleAtoi(numbers[1], &result.gid))
    return result;
  std::vector<char> buffer(16384);
  passwd entry = {};
  passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return absl::FailedPreconditionError(
        absl::StrCat("QEMU's user \"", user, "\" does not exist: it is auto, UID:GID or a name"));
  return QemuUser{found->pw_uid, found->pw_gid};
}

absl::StatusOr<LaunchedQemu> LaunchQemu(const QemuOptions& options, Accelerator accelerator, const VmSpec& spec) {
  const bool confined = options.confinement == QemuConfinement::kFull && ::geteuid() == 0;
  SpawnOptions spawn;
  Held held;
  RETURN_IF_ERROR(AddPlacementSteps(options, spec, held, spawn.steps));
  QemuPaths paths = {spec.kernel_path, spec.initrd_path, spec.shared_folder};
  ProcessCredentials credentials;
  if (confined) {
    ASSIGN_OR_RETURN(credentials, MakeCredentials(options, accelerator, spec));
    ASSIGN_OR_RETURN(const MountTree tree, MakeTree(options, accelerator, spec));
    Append(tree.Steps(), spawn.steps);
    Append(CredentialSteps(credentials), spawn.steps);
    paths = {"/guest/kernel", spec.initrd_path.empty() ? "" : "/guest/initrd",
             spec.shared_folder.empty() ? "" : "/shared"};
  }
  RETURN_IF_ERROR(CheckKernel(spec, confined ? &credentials : nullptr));
  if (!spec.shared_folder.empty()) RETURN_IF_ERROR(OpenFile(spec.shared_folder, O_PATH | O_DIRECTORY).status());

  ASSIGN_OR_RETURN(const UniqueFd qmp, ListenUnix(QmpSocketPath(spec.runtime_dir)));
  ASSIGN_OR_RETURN(const UniqueFd agent, ListenUnix(AgentSocketPath(spec.runtime_dir)));
  ASSIGN_OR_RETURN(const UniqueFd console, ListenUnix(ConsoleSocketPath(spec.runtime_dir)));
  ASSIGN_OR_RETURN(UniqueFd stderr_file, MakeStderrFile());
  spawn.pass_fds = {{qmp.get(), kQmpFd}, {agent.get(), kAgentFd}, {console.get(), kConsoleFd}};
  UniqueFd vhost;
  if (spec.nic.has_value()) {
    spawn.pass_fds.emplace_back(spec.nic->tap_fd, kTapFd);
    if (accelerator == Accelerator::kKvm) vhost = UniqueFd(::open("/dev/vhost-net", O_RDWR | O_CLOEXEC));
    if (vhost.ok()) spawn.pass_fds.emplace_back(vhost.get(), kVhostFd);
  }
  ASSIGN_OR_RETURN(TemplateFds files,
                   OpenTemplate(spec, confined ? std::optional<uid_t>(credentials.uid) : std::nullopt));
  spawn.pass_fds.insert(spawn.pass_fds.end(), files.pass_fds.begin(), files.pass_fds.end());
  Append(std::move(files.steps), spawn.steps);
  spawn.env = std::vector<std::string>{"PATH=/usr/bin:/bin", "LC_ALL=C"};
  if (spec.boot == BootMode::kClone) {
    ASSIGN_OR_RETURN(const int library, PrivateMemoryLibrary());
    spawn.pass_fds.emplace_back(library, kPreloadFd);
    spawn.env->push_back(absl::StrCat("LD_PRELOAD=/proc/self/fd/", kPreloadFd));
  }
  spawn.argv = BuildCommandLine(options, accelerator, spec, paths, vhost.ok() ? Vhost::kOn : Vhost::kOff);
  spawn.stdout_fd = stderr_file.get();
  spawn.stderr_fd = stderr_file.get();
  spawn.session = Session::kOwn;
  absl::StatusOr<Process> process = Spawn(spawn);
  if (!process.ok() && spec.boot == BootMode::kToBeTemplate) RemoveTemplate(spec.template_files);
  RETURN_IF_ERROR(process.status());
  return LaunchedQemu{*std::move(process), std::move(stderr_file)};
}

std::string ReadStderr(int stderr_file) {
  std::string text(kStderrBytes, '\0');
  const ssize_t count = ::pread(stderr_file, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  // What has not been written yet is zeros.
  text.resize(text.find_last_not_of('\0') == std::string::npos ? 0 : text.find_last_not_of('\0') + 1);
  return text;
}

}  // namespace podvisor
