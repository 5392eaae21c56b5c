#include "vmm/qemu/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace podvisor {
namespace {

// Where the tree is put together: a folder that every host has and nothing is bound from.
constexpr char kRoot[] = "/proc";

int Result(int64_t returned) { return returned < 0 ? errno : 0; }

// Ends in the namespace with the tree as "/" and the old root gone.
int EnterTree() {
  if (::chdir(kRoot) != 0) return errno;
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;
  if (::chdir("/") != 0) return errno;
  return Result(::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr));
}

int OwnNamespace() {
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
  return Result(::mount("tmpfs", kRoot, "tmpfs", MS_NOSUID | MS_NODEV, "size=256k,mode=0755"));
}

}  // namespace

struct MountTree::Operation {
  enum class Kind { kFolder, kFile, kSymlink, kBind, kBindReadOnly, kProc };
  Kind kind;
  std::string source;
  std::string target;  // on the host, below kRoot

  int Run() const {
    switch (kind) {
      case Kind::kFolder:
        return ::mkdir(target.c_str(), 0755) == 0 || errno == EEXIST ? 0 : errno;
      case Kind::kFile: {
        const int fd = ::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0) return errno;
        ::close(fd);
        return 0;
      }
      case Kind::kSymlink:
        return Result(::symlink(source.c_str(), target.c_str()));
      case Kind::kBind:
        return Result(::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr));
      case Kind::kBindReadOnly:
        if (const int error = Result(::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr)))
          return error;
        return Result(::mount(nullptr, target.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, nullptr));
      case Kind::kProc:
        return Result(
            ::mount("proc", target.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2,subset=pid"));
    }
    return EINVAL;
  }
};

MountTree::MountTree() : operations_(std::make_shared<std::vector<Operation>>()) {}

void MountTree::Folder(const std::string& path) {
  operations_->push_back({Operation::Kind::kFolder, "", kRoot + path});
}

void MountTree::FoldersAbove(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    Folder(path.substr(0, slash));
}

void MountTree::Bind(const std::string& host_path, const std::string& path, Access access) {
  FoldersAbove(path);
  struct stat stat = {};
  if (::stat(host_path.c_str(), &stat) == 0 && S_ISDIR(stat.st_mode))
    Folder(path);
  else
    operations_->push_back({Operation::Kind::kFile, "", kRoot + path});
  operations_->push_back(
      {access == Access::kReadOnly ? Operation::Kind::kBindReadOnly : Operation::Kind::kBind, host_path, kRoot + path});
}

void MountTree::Symlink(const std::string& target, const std::string& path) {
  FoldersAbove(path);
  operations_->push_back({Operation::Kind::kSymlink, target, kRoot + path});
}

void MountTree::Proc(const std::string& path) {
  FoldersAbove(path);
  Folder(path);
  operations_->push_back({Operation::Kind::kProc, "", kRoot + path});
}

std::vector<ChildStep> MountTree::Steps() const {
  std::vector<ChildStep> steps = {{"make a mount namespace", &OwnNamespace}};
  // A copy whose strings live as long as the steps: their names point into it.
  const auto operations = std::make_shared<const std::vector<Operation>>(*operations_);
  for (const Operation& operation : *operations)
    steps.push_back({operation.target.c_str(), [operations, &operation] { return operation.Run(); }});
  steps.push_back({"enter the mount tree", &EnterTree});
  return steps;
}

std::vector<ChildStep> CredentialSteps(const ProcessCredentials& credentials) {
  // System calls by number: the C library's set*id would signal every thread of the parent, whose memory this is.
  const auto wanted = std::make_shared<const ProcessCredentials>(credentials);
  const auto kept = [wanted](int capability) {
    return std::find(wanted->capabilities.begin(), wanted->capabilities.end(), capability) !=
           wanted->capabilities.end();
  };
  return {
      {"drop capabilities from the bounding set",
       [kept] {
         for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
           if (!kept(capability) && ::prctl(PR_CAPBSET_DROP, capability) != 0) return errno;
         return 0;
       }},
      {"set groups",
       [wanted] { return Result(::syscall(SYS_setgroups, wanted->groups.size(), wanted->groups.data())); }},
      {"set group id", [wanted] { return Result(::syscall(SYS_setresgid, wanted->gid, wanted->gid, wanted->gid)); }},
      {"set user id",
       [wanted] {
         if (::prctl(PR_SET_KEEPCAPS, 1) != 0) return errno;
         return Result(::syscall(SYS_setresuid, wanted->uid, wanted->uid, wanted->uid));
       }},
      {"set capabilities",
       [wanted] {
         __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
         __user_cap_data_struct data[2] = {};
         for (const int capability : wanted->capabilities) {
           const uint32_t bit = 1U << (capability % 32);
           __user_cap_data_struct& half = data[capability / 32];
           half.effective |= bit;
           half.permitted |= bit;
           half.inheritable |= bit;
         }
         if (::syscall(SYS_capset, &header, data) != 0) return errno;
         for (const int capability : wanted->capabilities)
           if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) return errno;
         return 0;
       }},
      {"set no_new_privs", [] { return Result(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }},
  };
}

}  // namespace podvisor
