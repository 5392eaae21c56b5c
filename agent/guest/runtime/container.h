// One container: its process, its execs, its cgroup and mounts.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_CONTAINER_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_CONTAINER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/guest/call.h"
#include "agent/guest/launch/seccomp.h"
#include "agent/guest/runtime/cgroup.h"
#include "agent/guest/runtime/process.h"
#include "agent/guest/storages/storages.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {

//   kCreating -> kCreated -> kStarting -> kRunning -> kExited; a failed creation removes the container. RemoveContainer
//   is possible from kCreated on.
struct Container {
  enum class State { kCreating, kCreated, kStarting, kRunning, kExited };

  std::string id;
  grpc::CreateContainerRequest request;
  State state = State::kCreating;
  std::shared_ptr<MountSet> mounts = std::make_shared<MountSet>();
  std::unique_ptr<Cgroup> cgroup;  // none where the kernel offers none
  std::shared_ptr<const SeccompFilter> seccomp;
  std::shared_ptr<Process> process;
  std::map<std::string, std::shared_ptr<Process>> execs;
  int events_watch = -1;  // FileWatcher: cgroup.events
  int memory_watch = -1;  // memory.events
  uint64_t oom_kills = 0;
  bool removing = false;
  CallPtr pauser;                 // answered when the kernel has stopped it
  std::vector<CallPtr> removers;  // answered when it is gone, with:
  absl::Status creation;          // why it could not be made

  // kNotFound names the exec. "" and the container's own id mean its own process.
  absl::StatusOr<std::shared_ptr<Process>> Find(const std::string& exec_id) const;
};

const char* Name(Container::State state);
// kInvalidArgument unless [A-Za-z0-9_.-]{1,128} and neither "." nor "..".
absl::Status CheckId(const std::string& id, const char* what);
// What CreateContainer cannot do is refused before anything is touched.
absl::Status CheckSpec(const grpc::CreateContainerRequest& request);
absl::Status CheckProcess(const grpc::Process& process);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_CONTAINER_H_
