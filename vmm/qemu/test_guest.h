// A guest for tests of real VMs: guest/'s kernel and modules with guest/testdata/echo_init.c as PID 1.
#ifndef PODVISOR_VMM_QEMU_TEST_GUEST_H_
#define PODVISOR_VMM_QEMU_TEST_GUEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace podvisor {

struct TestGuest {
  std::string kernel_path;
  std::string initrd_path;
};

// The kernel from $PODVISOR_GUEST_DIR; an initrd at `folder`, readable by all. kNotFound without such a folder: tests
// skip.
absl::StatusOr<TestGuest> MakeTestGuest(const std::string& folder);

// What tests allow a guest under TCG on a busy machine.
inline constexpr absl::Duration kBootPatience = absl::Seconds(120);

// A person at the guest's port. Not thread-safe.
class EchoClient {
 public:
  static absl::StatusOr<EchoClient> Connect(const std::string& socket_path);
  // Sends a line and returns the one that answers it. kDeadlineExceeded if none came within `patience`.
  absl::StatusOr<std::string> Ask(const std::string& request, absl::Duration patience = kBootPatience);

 private:
  explicit EchoClient(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_TEST_GUEST_H_
