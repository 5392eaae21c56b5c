// A command run in a container, with its output collected: CRI's ExecSync.
#ifndef PODVISOR_PODMANAGER_IO_EXEC_SESSION_H_
#define PODVISOR_PODMANAGER_IO_EXEC_SESSION_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "podmanager/pod_manager.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

struct ExecSyncOptions {
  std::string sandbox_id;  // for messages
  std::string container_id;
  std::string exec_id;                           // unique in the container
  grpc::Process process;                         // BuildExecProcess()
  absl::Duration timeout;                        // zero: none
  absl::Time deadline = absl::InfiniteFuture();  // of the RPC
  size_t output_limit = 16 << 20;                // per stream; the rest is read and dropped
  absl::Duration drain = absl::Seconds(5);       // how long output is waited for that a child left behind still holds
};

// Blocks; never in the event loop, never holding a lock. When the time is up the process is killed with SIGKILL and the
// error is kDeadlineExceeded. The exec is released in the guest in every case. Other errors are the agent's (a missing
// program: kNotFound or kInvalidArgument with the agent's message) or kUnavailable if the guest does not answer.
absl::StatusOr<ExecResult> RunExecSync(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                       const ExecSyncOptions& options);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_EXEC_SESSION_H_
