// A program run in a container for a client that sees its output as it comes: CRI's Exec.
#ifndef PODVISOR_PODMANAGER_IO_EXEC_STREAM_H_
#define PODVISOR_PODMANAGER_IO_EXEC_STREAM_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "podmanager/stream_session.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor {

struct ExecStreamOptions {
  std::string sandbox_id;  // for messages
  std::string container_id;
  std::string exec_id;        // unique in the container
  grpc::Process process;      // BuildExecProcess()
  std::string shared_folder;  // StdinWriter's
  bool tty = false;
  bool want_stdin = false, want_stdout = false, want_stderr = false;
  absl::Duration start_timeout = absl::Seconds(30);
  absl::Duration drain = absl::Seconds(5);  // how long output is waited for that a child left behind still holds
};

// Does not block. The program is started, its output is read no faster than the peer takes it, and it is released in
// the guest when it has ended, also after a Hangup(). Errors come through peer->Finish(): the agent's (a missing
// program: kNotFound or kInvalidArgument), kUnavailable when the sandbox has ended.
std::shared_ptr<StreamSession> StartExecStream(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                               ExecStreamOptions options, std::shared_ptr<StreamPeer> peer);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_EXEC_STREAM_H_
