// The host's control groups around one VM: every process of a pod is below the cgroup parent that the kubelet names,
// and nothing of it is left there after StopPodSandbox.
#ifndef PODVISOR_PODMANAGER_HOST_CGROUP_H_
#define PODVISOR_PODMANAGER_HOST_CGROUP_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace podvisor {

// The folders of one sandbox, as they are to be made. A value: kept in the sandbox's record from before they exist.
struct CgroupPlan {
  std::vector<std::string> directories;  // ROOT/[HIERARCHY/]PARENT/podvisor-<id>; empty: this machine has no cgroups
  std::vector<std::string> created_parents;  // removed with the last sandbox in them; each after its own parent
};

// "" is "/". A systemd slice becomes its path: "a-b.slice" is "/a.slice/a-b.slice". kInvalidArgument for "..", for a
// malformed slice.
absl::StatusOr<std::string> CgroupParentPath(const std::string& parent);

// Looks at `root` (/sys/fs/cgroup): v2 where it has cgroup.controllers, else every v1 hierarchy mounted below it. Where
// the parent exists in some hierarchies only, its owner uses those only, and so do we. Touches nothing. Another's
// parent is removed again only if it is missing now; our own (the configured default) whenever it has become empty.
enum class CgroupParent { kOurs, kOthers };
absl::StatusOr<CgroupPlan> PlanCgroup(const std::string& root, const std::string& parent, CgroupParent owner,
                                      const std::string& sandbox_id);

// Makes the folders and returns their cgroup.procs files: VmSpec::cgroup_procs. Idempotent. Hierarchies that can't be
// written to are left out with a warning in the log: a pod without accounting is better than none.
std::vector<std::string> MakeCgroup(const CgroupPlan& plan, const std::string& sandbox_id);

// VMs that belong to no pod: groups of their own beside the default parent, PARENT-pool. MakePoolCgroup() is idempotent
// and returns their cgroup.procs files; RemovePoolCgroup() leaves groups that are in use.
CgroupPlan PlanPoolCgroup(const std::string& root, const std::string& default_parent);
std::vector<std::string> MakePoolCgroup(const CgroupPlan& plan);
void RemovePoolCgroup(const CgroupPlan& plan);

// Moves processes that run already, by cgroup.procs files. What fails is a warning in the log, as with MakeCgroup().
// Memory that they have touched stays charged to the group they come from.
void JoinCgroup(const std::vector<std::string>& procs_files, const std::vector<pid_t>& pids,
                const std::string& sandbox_id);

// Kills what is left in them, removes them, and those parents that were made for them and have become empty. Success if
// they are gone already. kUnavailable if a process does not go away by `deadline`.
absl::Status RemoveCgroup(const CgroupPlan& plan, absl::Time deadline);

// Folders named podvisor-<id> anywhere below `root`: for a sandbox of which no record is left. Reads the whole tree.
CgroupPlan FindCgroup(const std::string& root, const std::string& sandbox_id);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_HOST_CGROUP_H_
