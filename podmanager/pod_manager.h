// Pods and their containers, as CRI knows them, in terms of podmanager's own types. The only door that cri/ uses.
#ifndef PODVISOR_PODMANAGER_POD_MANAGER_H_
#define PODVISOR_PODMANAGER_POD_MANAGER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "podmanager/config.pb.h"
#include "podmanager/events/event_stream.h"
#include "podmanager/stats/usage.h"
#include "podmanager/statuses.h"
#include "podmanager/stream_session.h"

namespace podvisor {

// Empty members match all. `id` may be a prefix.
struct SandboxFilter {
  std::string id;
  std::optional<SandboxState> state;
  std::map<std::string, std::string> labels;
};
struct ContainerFilter {
  std::string id;
  std::string sandbox_id;
  std::optional<ContainerState> state;
  std::map<std::string, std::string> labels;
};

enum class Detail { kBrief, kVerbose };

// How long a call for figures waits for guests, all of them together.
inline constexpr absl::Duration kUsagePatience = absl::Seconds(3);

struct ExecResult {
  std::string out, err;  // at most 16 MiB each; what exceeds it is dropped
  int exit_code = 0;
};

// What a Status call shows of one runtime handler.
struct RuntimeHandlerInfo {
  std::string name;  // "" is the default
  bool recursive_read_only_mounts = false;
  bool user_namespaces = false;
};

// Thread-safe. Calls may block until `deadline` (of the RPC); what has been started is finished or undone by itself
// after that. Ids may be given as unambiguous prefixes, as crictl does.
//
// Errors: kNotFound for an unknown sandbox or container; kInvalidArgument names the field; kAlreadyExists for a name in
// use by another configuration; kFailedPrecondition for a wrong state; kDeadlineExceeded; kUnavailable for a guest or
// plugin that does not answer. Messages name the sandbox or container.
class PodManager {
 public:
  virtual ~PodManager() = default;

  // kOk if pods can be run: CRI's RuntimeReady.
  virtual absl::Status RuntimeReady() = 0;
  virtual absl::Status NetworkReady() = 0;
  virtual std::vector<RuntimeHandlerInfo> Handlers() = 0;
  virtual void UpdatePodCidr(const std::string& cidr) = 0;

  // Idempotent: the same configuration (metadata and attempt) finds the sandbox that is ready, or waits for the one
  // that is still starting, also after the first caller has given up. Returns the id.
  virtual absl::StatusOr<std::string> RunPodSandbox(const SandboxConfig& config, const std::string& runtime_handler,
                                                    absl::Time deadline) = 0;
  // Success for an unknown sandbox, and for one that is stopped already.
  virtual absl::Status StopPodSandbox(const std::string& id, absl::Time deadline) = 0;
  // Stops it first if need be. Success for an unknown sandbox.
  virtual absl::Status RemovePodSandbox(const std::string& id, absl::Time deadline) = 0;
  virtual absl::StatusOr<SandboxStatus> GetSandbox(const std::string& id, Detail detail) = 0;
  virtual std::vector<SandboxStatus> ListSandboxes(const SandboxFilter& filter) = 0;

  // Idempotent like RunPodSandbox. Returns the id.
  virtual absl::StatusOr<std::string> CreateContainer(const std::string& sandbox_id, const ContainerConfig& config,
                                                      absl::Time deadline) = 0;
  virtual absl::Status StartContainer(const std::string& id, absl::Time deadline) = 0;
  // Stop signal, `grace`, SIGKILL. Success for an unknown or an exited container.
  virtual absl::Status StopContainer(const std::string& id, absl::Duration grace, absl::Time deadline) = 0;
  // Kills it first if it runs. Success for an unknown container.
  virtual absl::Status RemoveContainer(const std::string& id, absl::Time deadline) = 0;
  virtual absl::StatusOr<ContainerStatus> GetContainer(const std::string& id, Detail detail) = 0;
  virtual std::vector<ContainerStatus> ListContainers(const ContainerFilter& filter) = 0;

  // kDeadlineExceeded after `timeout` (zero: none), the process killed.
  virtual absl::StatusOr<ExecResult> ExecSync(const std::string& id, const std::vector<std::string>& command,
                                              absl::Duration timeout, absl::Time deadline) = 0;
  // Streams for a client that reads and writes as it likes. None of these blocks, and all may be called from the event
  // loop. What only the guest can say comes by peer->Finish().
  virtual absl::StatusOr<std::shared_ptr<StreamSession>> StartExec(const std::string& id,
                                                                   const std::vector<std::string>& command,
                                                                   const StreamOptions& options,
                                                                   std::shared_ptr<StreamPeer> peer) = 0;
  // The container's own process, from now on. Its end is Finish(0). `options.tty` is the container's own setting.
  virtual absl::StatusOr<std::shared_ptr<StreamSession>> Attach(const std::string& id, const StreamOptions& options,
                                                                std::shared_ptr<StreamPeer> peer) = 0;
  // A TCP connection to a port on the loopback address of the pod.
  virtual absl::StatusOr<std::shared_ptr<StreamSession>> DialPort(const std::string& sandbox_id, uint16_t port,
                                                                  std::shared_ptr<StreamPeer> peer) = 0;
  // The new file exists when this returns.
  virtual absl::Status ReopenContainerLog(const std::string& id) = 0;
  // Zero or empty members of `resources` leave what is.
  virtual absl::Status UpdateContainerResources(const std::string& id, const Resources& resources,
                                                absl::Time deadline) = 0;
  // Of the pod as a whole: its VM takes the size that they ask for, in place. Likewise for members that are zero.
  virtual absl::Status UpdateSandboxResources(const std::string& id, const Resources& overhead,
                                              const Resources& resources, absl::Time deadline) = 0;

  // What a ready sandbox and its containers use. Asks its guest unless it has answered within the last second; waits
  // for it kUsagePatience at most, then the last figures known stand, which may be none. kFailedPrecondition for a
  // sandbox that is not ready.
  virtual absl::StatusOr<PodUsage> GetUsage(const std::string& sandbox_id, Detail detail, absl::Time deadline) = 0;
  // The same of all ready sandboxes, whose guests are asked at once: one that hangs delays the others by
  // kUsagePatience, no more. Members `state` and `id` of the filter as in ListSandboxes().
  virtual std::vector<PodUsage> ListUsage(const SandboxFilter& filter, Detail detail, absl::Time deadline) = 0;

  // Every change from here on. See event_stream.h. kResourceExhausted with too many listeners.
  virtual absl::StatusOr<std::unique_ptr<EventStream>> SubscribeEvents() = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_POD_MANAGER_H_
