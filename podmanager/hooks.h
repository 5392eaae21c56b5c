// What others may have a say in: told of everything that happens to pods, and asked before some of it. podmanager knows
// nobody who listens; the daemon wires one in.
#ifndef PODVISOR_PODMANAGER_HOOKS_H_
#define PODVISOR_PODMANAGER_HOOKS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "podmanager/config.pb.h"
#include "podmanager/pod_manager.h"

namespace podvisor {

// Pictures of the moment: copies, nothing of them is borrowed.
struct HookPod {
  std::string id;
  SandboxConfig config;
  std::string runtime_handler;
  std::string netns_path;
  std::string cgroup_path;  // of the VM; empty if it has none of its own
  std::vector<std::string> ips;
  pid_t pid = 0;  // of the VMM; 0 if there is none
};

struct HookContainer {
  std::string id;
  std::string sandbox_id;
  ContainerConfig config;  // as it is carried out: with what hooks have changed
  ContainerState state = ContainerState::kUnknown;
  absl::Time created_at, started_at, finished_at;  // InfinitePast() if not yet
  int exit_code = 0;
  std::string reason, message;
  // Of the process, with what the image says; empty if it is not known yet.
  std::vector<std::string> args, env;
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
  Resources resources;  // in force
};

// Called from the threads of operations, without any lock, in the order in which things happen to one pod. Calls may
// block, within budgets of the hooks' own: an operation waits for them. Thread-safe.
//
// An error of On…() ends the operation, and what it has done so far is undone; it is then told of with OnRemove…().
class PodHooks {
 public:
  virtual ~PodHooks() = default;

  // The VM runs and is configured, nobody can see it yet.
  virtual absl::Status OnRunSandbox(const HookPod& pod) = 0;
  virtual absl::Status OnUpdateSandbox(const HookPod& pod, const Resources& overhead, const Resources& resources) = 0;
  virtual void AfterUpdateSandbox(const HookPod& pod) = 0;
  // Once per pod: its containers have ended, VM and network are still there.
  virtual void OnStopSandbox(const HookPod& pod) = 0;
  virtual void OnRemoveSandbox(const HookPod& pod) = 0;

  // Nothing of it is in the guest yet, and nobody can see it. `config` may be changed: see HookContainer::config.
  virtual absl::Status OnCreateContainer(const HookPod& pod, const HookContainer& container,
                                         ContainerConfig* config) = 0;
  virtual void AfterCreateContainer(const HookPod& pod, const HookContainer& container) = 0;
  virtual absl::Status OnStartContainer(const HookPod& pod, const HookContainer& container) = 0;
  virtual void AfterStartContainer(const HookPod& pod, const HookContainer& container) = 0;
  // `update` may be changed.
  virtual absl::Status OnUpdateContainer(const HookPod& pod, const HookContainer& container, Resources* update) = 0;
  virtual void AfterUpdateContainer(const HookPod& pod, const HookContainer& container) = 0;
  // Once per container that was started, however it ended.
  virtual void OnStopContainer(const HookPod& pod, const HookContainer& container) = 0;
  virtual void OnRemoveContainer(const HookPod& pod, const HookContainer& container) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_HOOKS_H_
