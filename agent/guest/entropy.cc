#include "agent/guest/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>

#include <vector>

#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

absl::Status AddEntropy(const std::string& bytes) {
  if (bytes.empty() || bytes.size() > 4096) {
    return absl::InvalidArgumentError(absl::StrCat(bytes.size(), " bytes of entropy: 1 to 4096 are taken"));
  }
  const UniqueFd device(::open("/dev/urandom", O_RDWR | O_CLOEXEC));
  if (!device.ok()) return ErrnoStatus(errno, "open /dev/urandom");
  // struct rand_pool_info: two ints and the bytes.
  std::vector<int> pool(2 + (bytes.size() + sizeof(int) - 1) / sizeof(int));
  pool[0] = static_cast<int>(bytes.size() * 8);
  pool[1] = static_cast<int>(bytes.size());
  ::memcpy(&pool[2], bytes.data(), bytes.size());
  if (::ioctl(device.get(), RNDADDENTROPY, pool.data()) != 0) return ErrnoStatus(errno, "add entropy");
  if (::ioctl(device.get(), RNDRESEEDCRNG) != 0) return ErrnoStatus(errno, "reseed the random number generator");
  return absl::OkStatus();
}

}  // namespace podvisor::guest
