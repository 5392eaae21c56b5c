#include "agent/guest/init.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guest/log.h"
#include "agent/guest/modules.h"
#include "agent/guest/network/network.h"
#include "agent/guest/sandbox.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

constexpr char kModuleList[] = "/etc/podvisor/modules";
constexpr char kLateModuleList[] = "/etc/podvisor/modules.late";
constexpr char kCgroupMount[] = "/sys/fs/cgroup";

struct SystemMount {
  const char* type;
  const char* target;
  unsigned long flags;
  const char* data;
};

constexpr SystemMount kMounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=755"},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755"},
    {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"cgroup2", kCgroupMount, MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate"},
};

// pivot_root refuses to leave the initramfs itself, which has no parent: so the agent's root becomes a mount on top of
// it, in which containers can pivot as everywhere.
absl::Status CoverInitramfs() {
  constexpr char kNewRoot[] = "/root";
  ::mkdir(kNewRoot, 0755);
  if (::mount("/", kNewRoot, nullptr, MS_BIND, nullptr) != 0) return ErrnoStatus(errno, "bind /");
  if (::chdir(kNewRoot) != 0) return ErrnoStatus(errno, "chdir to the new root");
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) return ErrnoStatus(errno, "move the new root");
  if (::chroot(".") != 0) return ErrnoStatus(errno, "chroot");
  if (::chdir("/") != 0) return ErrnoStatus(errno, "chdir /");
  return absl::OkStatus();
}

void LoadModules(const char* list) {
  for (const std::string& path : SplitWords(ReadTextOrEmpty(list), "\n")) {
    if (path[0] == '#') continue;
    if (const absl::Status status = LoadModuleFile(path); !status.ok()) Log(status.message());
  }
  // Only where the machine has one: 19 is virtio's number of a socket device.
  for (const std::string& device : ListFolder("/sys/bus/virtio/devices")) {
    if (::strtoul(ReadTextOrEmpty("/sys/bus/virtio/devices/" + device + "/device").c_str(), nullptr, 16) != 19)
      continue;
    const absl::Status status = LoadModule("vmw_vsock_virtio_transport");
    if (!status.ok()) Log(status.message());
  }
}

absl::Status BringLoopbackUp() {
  NetworkOriginals originals;
  ASSIGN_OR_RETURN(Network network, Network::Open(originals));
  return network.SetUp("lo");
}

}  // namespace

absl::Status SetUpGuest() {
  ::umask(0022);
  RETURN_IF_ERROR(CoverInitramfs());
  // What the containers' mount namespaces are copied from: so that mounts can propagate among them.
  if (::mount(nullptr, "/", nullptr, MS_SHARED | MS_REC, nullptr) != 0) Log("the root cannot be shared");
  for (const SystemMount& mount : kMounts) {
    ::mkdir(mount.target, 0755);
    if (::mount(mount.type, mount.target, mount.type, mount.flags, mount.data) == 0) continue;
    // devtmpfs may be there already; an older kernel may not know cgroup2's option.
    const int error = errno;
    if (::mount(mount.type, mount.target, mount.type, mount.flags, "") == 0 || error == EBUSY) continue;
    Log("mount ", mount.target, ": ", ErrnoStatus(error, "mount").message());
  }
  RETURN_IF_ERROR(MakeFolders(kRunFolder));
  LoadModules(kModuleList);
  if (const absl::Status status = BringLoopbackUp(); !status.ok()) Log("lo: ", status.message());
  return absl::OkStatus();
}

pid_t LoadLateModules() {
  const pid_t child = ::fork();
  if (child < 0) Log("late modules: ", ErrnoStatus(errno, "fork").message());
  if (child != 0) return child;
  ::setpriority(PRIO_PROCESS, 0, 19);
  LoadModules(kLateModuleList);
  ::_exit(0);
}

absl::Status Isolate() {
  if (::unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) != 0) return ErrnoStatus(errno, "namespaces of its own");
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_SHARED | MS_REC, nullptr) != 0) {
    return ErrnoStatus(errno, "mounts of its own");
  }
  RETURN_IF_ERROR(MakeFolders(kRunFolder));
  if (::mount("tmpfs", kRunFolder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0) {
    return ErrnoStatus(errno, absl::StrCat("mount ", kRunFolder));
  }
  return absl::OkStatus();
}

void PowerOff() {
  ::kill(-1, SIGKILL);
  ::sync();
  ::reboot(RB_POWER_OFF);
  // No power management (microvm): with -no-reboot a reset ends the VM as well.
  ::reboot(RB_AUTOBOOT);
}

}  // namespace podvisor::guest
