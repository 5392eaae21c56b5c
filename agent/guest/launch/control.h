// What a child tells the agent between fork and exec, over a SOCK_SEQPACKET pair that exec closes.
#ifndef PODVISOR_AGENT_GUEST_LAUNCH_CONTROL_H_
#define PODVISOR_AGENT_GUEST_LAUNCH_CONTROL_H_

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

struct ControlMessage {
  enum class Kind {
    kNothing,   // not yet
    kReady,     // everything but exec is done; with the terminal's master side, if there is one. Not told by an exec
                // without a terminal
    kFailed,    // the child ends
    kExecuted,  // exec has closed the child's side; or the child was killed before, which its exit status tells
  };
  Kind kind = Kind::kNothing;
  UniqueFd terminal;
  absl::Status error;
};

// The agent's side; never blocks.
ControlMessage ReceiveControl(int fd);
bool SendStart(int fd);

// The child's side.
void SendReady(int fd, int terminal_fd);
void SendFailure(int fd, const absl::Status& status);
// Blocks until the agent says so; false if the agent is gone.
bool AwaitStart(int fd);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_LAUNCH_CONTROL_H_
