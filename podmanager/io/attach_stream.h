// A client that looks on a container's own process, and may write to it: CRI's Attach.
#ifndef PODVISOR_PODMANAGER_IO_ATTACH_STREAM_H_
#define PODVISOR_PODMANAGER_IO_ATTACH_STREAM_H_

#include <memory>
#include <string>

#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "podmanager/io/container_log.h"
#include "podmanager/stream_session.h"

namespace podvisor {

struct AttachStreamOptions {
  std::string container_id;
  std::string shared_folder;          // StdinWriter's
  std::shared_ptr<ContainerLog> log;  // what reads the container's output
  bool tty = false;
  bool stdin_once = false;
  bool want_stdin = false, want_stdout = false, want_stderr = false;
};

// Does not block. Sees what is read from now on; a peer that is slow slows the container down, as a terminal would.
// Ends by Finish(0) when the container's output has ended. The end of stdin closes the container's if it is to be used
// once (but not a terminal's); otherwise the container's stays open for the next client, and this session ends, as
// containerd has it.
std::shared_ptr<StreamSession> StartAttachStream(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                                 AttachStreamOptions options, std::shared_ptr<StreamPeer> peer);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_ATTACH_STREAM_H_
