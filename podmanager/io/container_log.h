// One container's output in its log file, exactly once, whatever is killed when: what podmanager uses.
#ifndef PODVISOR_PODMANAGER_IO_CONTAINER_LOG_H_
#define PODVISOR_PODMANAGER_IO_CONTAINER_LOG_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "base/state_db.h"
#include "podmanager/io/output_sink.h"

namespace podvisor {

// Table of the state database with one checkpoint per container.
inline constexpr char kLogCheckpointTable[] = "log_checkpoints";

struct ContainerLogOptions {
  std::string sandbox_id;
  std::string container_id;
  std::string log_path;  // absolute; empty: the output is read and dropped
  bool tty = false;
};

// Reads the output of a container's own process from the guest and appends it to the log file, until both streams have
// ended. Thread-safe. The destructor stops it; `loop` and `db` outlive it.
class ContainerLog {
 public:
  // To be called when the agent has made the container (before or after it is started), and again after a restart of
  // the daemon: it goes on exactly where the log file ends. Blocks for local file I/O only; never in the event loop.
  // `on_done` is called at most once, from the event loop, when all output is in the file (OK) or will never be (the
  // error says why, and has been logged). Errors: the file can't be opened or read, the database is full.
  static absl::StatusOr<std::shared_ptr<ContainerLog>> Start(EventLoop& loop, std::shared_ptr<AgentClient> client,
                                                             StateDb& db, ContainerLogOptions options,
                                                             std::function<void(absl::Status)> on_done);
  virtual ~ContainerLog() = default;

  // The new file exists when this returns. Blocks shortly; never in the event loop. On an error the old file stays in
  // use. Works after the end of the output, too.
  virtual absl::Status Reopen() = 0;

  // Ends reading, without `on_done` after it has returned. What the guest has not been told to forget stays there.
  // Blocks until the event loop has let go; never in the event loop. Idempotent.
  virtual void Stop() = 0;

  virtual void AddTap(std::shared_ptr<OutputTap> tap) = 0;
  virtual void RemoveTap(const std::shared_ptr<OutputTap>& tap) = 0;

  // Deletes the checkpoint: with the container. Success if there is none.
  static absl::Status Forget(StateDb& db, const std::string& container_id);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_IO_CONTAINER_LOG_H_
