#include "netns/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr int kVnetHeaderBytes = 10;  // struct virtio_net_hdr without num_buffers; the VMM sets 12 when it needs to

constexpr absl::Duration kForkToExec = absl::Seconds(1);

ifreq TapRequest(const std::string& name) {
  ifreq request = {};
  ::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  return request;
}

absl::StatusOr<UniqueFd> AttachQueue(const std::string& name) {
  UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap.ok()) return ErrnoStatus(errno, "open /dev/net/tun (is the kernel module tun loaded?)");
  ifreq request = TapRequest(name);
  int error = ::ioctl(tap.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
  // A child of ours between its fork and its exec holds a copy of whatever was open, a tap just made among it.
  for (const absl::Time end = absl::Now() + kForkToExec; error == EBUSY && absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(1));
    error = ::ioctl(tap.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
  }
  if (error != 0) {
    if (error == EBUSY) return absl::UnavailableError(absl::StrCat("tap ", name, " is in use by another process"));
    return ErrnoStatus(error, absl::StrCat("attach to tap ", name, " (needs CAP_NET_ADMIN)"));
  }
  return tap;
}

// What the last user negotiated stays with the device: a new guest that has not yet must not get it.
absl::Status ResetQueue(int tap, const std::string& name) {
  int header = kVnetHeaderBytes;
  if (::ioctl(tap, TUNSETVNETHDRSZ, &header) != 0)
    return ErrnoStatus(errno, absl::StrCat("set the header size of tap ", name));
  if (::ioctl(tap, TUNSETOFFLOAD, 0) != 0) return ErrnoStatus(errno, absl::StrCat("clear the offloads of tap ", name));
  return absl::OkStatus();
}

// major:minor of a macvtap's queue. Sysfs shows the links of the namespace it was mounted in, so a private one is
// mounted: the caller's thread ends soon (RunInNamespace).
absl::StatusOr<dev_t> MacvtapDevice(const std::string& name, unsigned index) {
  if (::unshare(CLONE_NEWNS) != 0) return ErrnoStatus(errno, "unshare the mounts");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return ErrnoStatus(errno, "make mounts private");
  if (::mount("sysfs", "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return ErrnoStatus(errno, "mount sysfs");
  const std::string path = absl::StrCat("/sys/class/net/", name, "/tap", index, "/dev");
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 64));
  const std::vector<std::string> numbers = absl::StrSplit(absl::StripAsciiWhitespace(text), ':');
  unsigned major_number = 0;
  unsigned minor_number = 0;
  if (numbers.size() != 2 || !absl::SimpleAtoi(numbers[0], &major_number) ||
      !absl::SimpleAtoi(numbers[1], &minor_number))
    return absl::InternalError(absl::StrCat(path, ": not a device number: ", text));
  return makedev(major_number, minor_number);
}

}  // namespace

absl::Status CreateTap(const std::string& name) {
  ASSIGN_OR_RETURN(const UniqueFd tap, AttachQueue(name));
  if (::ioctl(tap.get(), TUNSETPERSIST, 1) != 0) return ErrnoStatus(errno, absl::StrCat("make tap ", name, " persist"));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenTapQueue(const std::string& name) {
  // TUNSETIFF would make a tap where there is none, and that would vanish with the descriptor.
  if (::if_nametoindex(name.c_str()) == 0) return absl::NotFoundError(absl::StrCat("no tap ", name));
  ASSIGN_OR_RETURN(UniqueFd tap, AttachQueue(name));
  RETURN_IF_ERROR(ResetQueue(tap.get(), name));
  return tap;
}

absl::StatusOr<UniqueFd> OpenMacvtapQueue(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return absl::NotFoundError(absl::StrCat("no macvtap ", name));
  ASSIGN_OR_RETURN(const dev_t device, MacvtapDevice(name, index), "macvtap ", name);
  // A node of our own: /dev/tapN of devtmpfs has one name for links of the same index in different namespaces.
  if (::mount("tmpfs", "/sys", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=4k,mode=0700") != 0)
    return ErrnoStatus(errno, "mount a folder for a device node");
  if (::mknod("/sys/tap", S_IFCHR | 0600, device) != 0)
    return ErrnoStatus(errno, absl::StrCat("make a node for macvtap ", name));
  UniqueFd tap(::open("/sys/tap", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tap.ok()) return ErrnoStatus(errno, absl::StrCat("open macvtap ", name));
  ifreq request = TapRequest(name);
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) return ErrnoStatus(errno, absl::StrCat("attach to macvtap ", name));
  RETURN_IF_ERROR(ResetQueue(tap.get(), name));
  return tap;
}

}  // namespace podvisor
