// Child processes: starting them, waiting for them, and finding them again after a restart of the daemon.
#ifndef PODVISOR_BASE_PROCESS_H_
#define PODVISOR_BASE_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace podvisor {

// Names one process for ever: a pid alone is reused. `start_ticks` is field 22 of /proc/PID/stat, clock ticks since
// boot.
struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// How a process ended; exactly one of the two is set. Both are empty where we were not its parent.
struct ExitStatus {
  std::optional<int> code;
  std::optional<int> signal;
  bool success() const { return code == 0; }
  // "exit code 1", "signal 9 (Killed)", "unknown exit status".
  std::string ToString() const;
};

// A handle on a running or ended process, by pidfd. Its destructor leaves the process alone. Not thread-safe, except
// that Signal() may be called while another thread is in Wait().
class Process {
 public:
  // Takes the process with this identity if it still runs; kNotFound if it has ended or the pid is another's now.
  static absl::StatusOr<Process> Adopt(ProcessIdentity identity);

  const ProcessIdentity& identity() const { return identity_; }
  // Becomes readable when the process ends: for an event loop. Owned by this object.
  int pidfd() const { return pidfd_.get(); }

  // Sends a signal. Success if the process has ended already.
  absl::Status Signal(int signal);

  // Blocks until the process ends; kDeadlineExceeded if it has not by then. Reaps it if it is our child; later calls
  // return the same status.
  absl::StatusOr<ExitStatus> Wait(absl::Time deadline);

 private:
  friend absl::StatusOr<Process> Spawn(const struct SpawnOptions& options);
  Process(ProcessIdentity identity, UniqueFd pidfd) : identity_(identity), pidfd_(std::move(pidfd)) {}

  ProcessIdentity identity_;
  UniqueFd pidfd_;
  std::optional<ExitStatus> exit_;
};

// Something the child does between fork and exec. `run` returns 0 or an errno value. It runs in the memory of this
// process while the calling thread is suspended (vfork): system calls only, no allocation, no locks.
struct ChildStep {
  const char* name;  // for errors: "setns /run/netns/x"
  std::function<int()> run;
};

enum class Session { kParents, kOwn };

struct SpawnOptions {
  std::vector<std::string> argv;                // argv[0] is the program's path; no search in PATH
  std::optional<std::vector<std::string>> env;  // "KEY=value"; ours if absent
  // Descriptors for 0, 1 and 2; -1 is /dev/null. Borrowed.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  // More descriptors: ours (borrowed), and the number each gets in the child (>= 3). Nothing else is inherited.
  std::vector<std::pair<int, int>> pass_fds;
  Session session = Session::kParents;  // kOwn: setsid(), so that it outlives the daemon's terminal and process group
  std::vector<ChildStep> steps;         // in order, after descriptors and session are set up
};

// Starts a program. Errors name the program and the step that failed (exec included): the caller never sees a child
// that did not exec.
absl::StatusOr<Process> Spawn(const SpawnOptions& options);

struct CommandResult {
  ExitStatus exit;
  std::string out;
  std::string err;
};

// Runs a short program to its end: `input` goes to its stdin, both outputs are kept up to `output_limit` bytes each
// (the rest is read and dropped). At the deadline it is killed with its process group: kDeadlineExceeded, naming it.
// A program that ran and failed is no error here: see CommandResult::exit.
absl::StatusOr<CommandResult> RunCommand(SpawnOptions options, const std::string& input, absl::Time deadline,
                                         size_t output_limit = 1 << 20);

}  // namespace podvisor

#endif  // PODVISOR_BASE_PROCESS_H_
