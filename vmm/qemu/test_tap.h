// A tap for tests of network cards.
#ifndef PODVISOR_VMM_QEMU_TEST_TAP_H_
#define PODVISOR_VMM_QEMU_TEST_TAP_H_

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/unique_fd.h"

namespace podvisor {

// A network namespace with a tap in it, for as long as the object lives; nothing of it is mounted anywhere.
class TapNamespace {
 public:
  TapNamespace() {
    thread_ = std::thread([this] {
      if (::unshare(CLONE_NEWNET) == 0) {
        path_ = absl::StrCat("/proc/", ::getpid(), "/task/", ::syscall(SYS_gettid), "/ns/net");
        tap_ = UniqueFd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
        ifreq request = {};
        ::strcpy(request.ifr_name, "tap0");
        request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
        if (::ioctl(tap_.get(), TUNSETIFF, &request) != 0) tap_.reset();
      }
      made_.Notify();
      end_.WaitForNotification();
    });
    made_.WaitForNotification();
  }
  ~TapNamespace() {
    end_.Notify();
    thread_.join();
  }
  const std::string& path() const { return path_; }
  int tap() const { return tap_.get(); }

 private:
  std::string path_;
  UniqueFd tap_;
  absl::Notification made_, end_;
  std::thread thread_;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_TEST_TAP_H_
