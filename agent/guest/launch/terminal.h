// A terminal of the container's own devpts. Runs in the child, inside of the container.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_TERMINAL_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_TERMINAL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

struct Terminal {
  UniqueFd master;
  UniqueFd slave;
  std::string slave_path;  // "/dev/pts/0"
};

absl::StatusOr<Terminal> OpenTerminal(const grpc::Box& size);
// Shows the terminal as the container's /dev/console.
absl::Status BindConsole(const Terminal& terminal);
// Makes the slave the controlling terminal of this session, and descriptors 0, 1 and 2.
absl::Status UseTerminal(const Terminal& terminal);
absl::Status ResizeTerminal(int fd, uint32_t rows, uint32_t columns);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_TERMINAL_H_
