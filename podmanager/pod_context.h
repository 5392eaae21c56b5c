// What the operations on pods work with: made once by PodManagerImpl, handed to every operation.
#ifndef PODVISOR_PODMANAGER_POD_CONTEXT_H_
#define PODVISOR_PODMANAGER_POD_CONTEXT_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/client/agent_client.h"
#include "base/event_loop.h"
#include "base/state_db.h"
#include "netns/pod_network.h"
#include "podmanager/container.h"
#include "podmanager/events/event_hub.h"
#include "podmanager/factory/factories.h"
#include "podmanager/hooks.h"
#include "podmanager/host_cgroup.h"
#include "podmanager/name_index.h"
#include "podmanager/record_store.h"
#include "podmanager/runtime_handler.h"
#include "podmanager/sandbox.h"
#include "podmanager/task_group.h"
#include "podmanager/timestamps.h"
#include "storage/image_store.h"

namespace podvisor {

struct PodManagerOptions {
  std::string run_dir;                              // see paths.h; made if missing
  std::string cgroup_root = "/sys/fs/cgroup";       // empty: VMs stay in the daemon's cgroup
  std::string default_cgroup_parent = "/podvisor";  // for pods that name none
  std::string node_hostname;                        // empty: gethostname()
  std::map<std::string, RuntimeHandler> handlers;   // by name; "" has to be there
  FactoryOptions factory;                           // where VMs come from

  // For metrics and events: called from any thread, must not block. May be empty.
  // Stages of RunPodSandbox: "record", "netns", "files" (with the cgroup), "cni", then "vmm_start", "agent_ready" of a
  // cold boot, "clone", "clone_ready" of a clone, "cgroup", "resume" of a VM of the pool, "grow" of both; "configure",
  // "ready" (the record), "total".
  std::function<void(absl::string_view stage, absl::StatusCode code, absl::Duration took)> on_stage;
  AgentClient::Observer on_agent_call;
  // A sandbox or container has another state; both ids for a container. Ask for the state by id: events may overtake
  // each other.
  std::function<void(const std::string& sandbox_id, const std::string& container_id)> on_change;
};

// Abilities, borrowed: each outlives the pod manager.
struct PodManagerParts {
  EventLoop* loop = nullptr;
  StateDb* db = nullptr;
  PodNetwork* network = nullptr;
  ImageStore* images = nullptr;
  PodHooks* hooks = nullptr;  // may stay null
};

// Lock order: NameIndex, Sandbox, Container, SandboxDisks and StateDb each have one mutex. Those of NameIndex and
// SandboxDisks are leaves; that of StateDb may be taken under a Sandbox's or a Container's, and no other under any.
// None is held while a guest, a VMM, a CNI plugin or the image store is waited for: operations exclude each other by
// Turns and Gate (turn.h). Turn order: the sandbox's before its containers'.
struct PodContext {
  PodContext(PodManagerOptions options_in, PodManagerParts parts)
      : options(std::move(options_in)),
        loop(*parts.loop),
        db(*parts.db),
        network(*parts.network),
        images(*parts.images),
        hooks(parts.hooks),
        store(db),
        factories(FactoryParts{.loop = loop,
                               .network = network,
                               .store = store,
                               .tasks = tasks,
                               .requests = requests,
                               .stopping = stopping,
                               .run_dir = options.run_dir,
                               .on_agent_call = options.on_agent_call,
                               .cgroup_procs = {}},
                  options.factory, PoolCgroup(options), options.handlers) {}

  const PodManagerOptions options;
  EventLoop& loop;
  StateDb& db;
  PodNetwork& network;
  ImageStore& images;
  PodHooks* const hooks;  // use tell_hooks.h
  RecordStore store;
  Timestamps timestamps;
  NameIndex<Sandbox> sandboxes{"sandbox"};
  NameIndex<Container> containers{"container"};
  // The daemon goes down: what fails from here on fails because of that, and is not held against the pods.
  std::atomic<bool> stopping{false};
  EventHub events;
  // Events come in order because they are made one at a time. Taken before all locks named above.
  absl::Mutex telling;
  RequestGate requests;
  std::vector<PoolRecord> left_pool_vms;  // of an earlier daemon, from the recovery until the factories start
  Factories factories;                    // uses the tasks, but not before the constructor has ended
  TaskGroup tasks;                        // last, so that it ends first

  void OnStage(Sandbox& sandbox, absl::string_view stage, absl::StatusCode code, absl::Time start) const {
    const absl::Time end = absl::Now();
    sandbox.trace().Add(stage, start, end);
    if (options.on_stage) options.on_stage(stage, code, end - start);
  }

  // Something about it is another than before, and can be seen already: tells listeners of events, and `on_change`.
  void Changed(const Sandbox& sandbox);
  void Changed(const Container& container);

 private:
  static CgroupPlan PoolCgroup(const PodManagerOptions& options) {
    if (options.cgroup_root.empty()) return {};
    return PlanPoolCgroup(options.cgroup_root, options.default_cgroup_parent);
  }
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_POD_CONTEXT_H_
