// cgroup v2 of one container, and the tree that holds them.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_CGROUP_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "third_party/wire/agent.pb.h"
#include "third_party/wire/oci.pb.h"

namespace podvisor::guest {

// One file to write: "memory.max" <- "1048576".
struct CgroupSetting {
  std::string file;
  std::string value;
  friend bool operator==(const CgroupSetting&, const CgroupSetting&) = default;
};

// What OCI's resources (cgroup v1 terms) mean in v2 terms. kInvalidArgument for what cannot be meant.
absl::StatusOr<std::vector<CgroupSetting>> SettingsFrom(const grpc::LinuxResources& resources);
// 2..262144 shares to a weight of 1..10000, as runc and crun convert them.
uint64_t WeightFromShares(uint64_t shares);

class Cgroup {
 public:
  // Removes nothing: see Remove().
  explicit Cgroup(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // An O_PATH-like descriptor for CLONE_INTO_CGROUP.
  absl::StatusOr<UniqueFd> Open() const;

  // Settings whose controller the kernel does not offer here are skipped and reported on stderr: a limit of v1 hosts
  // outside of a VM. Any other failure is an error that names file and value.
  absl::Status Apply(const grpc::LinuxResources& resources) const;

  // Any file of it, by its name ("memory.high"). kInvalidArgument unless it is that of a controller the kernel has.
  absl::Status SetFile(const std::string& file, const std::string& value) const;

  // The kernel stops everything in it as soon as it can; see IsFrozen().
  enum class Freezer { kThawed, kFrozen };
  absl::Status SetFreezer(Freezer state) const;
  bool IsFrozen() const;

  // SIGKILL to everything in it.
  void KillAll() const;
  bool IsPopulated() const;
  // All processes in it and below, as the agent's pid namespace numbers them.
  std::vector<pid_t> Pids() const;
  uint64_t OomKills() const;
  void ReadStats(grpc::CgroupStats* stats) const;

  // Removes it and what programs have made below. kFailedPrecondition while something lives in it.
  absl::Status Remove() const;

 private:
  std::string File(const char* name) const { return path_ + "/" + name; }

  std::string path_;
};

// The folder of all containers' cgroups, with every controller enabled that the kernel offers.
class CgroupTree {
 public:
  // Finds the cgroup2 mount; `name` is the folder's. kUnavailable where there is none.
  static absl::StatusOr<std::unique_ptr<CgroupTree>> Create(const std::string& name);
  ~CgroupTree();

  absl::StatusOr<std::unique_ptr<Cgroup>> Make(const std::string& container_id) const;
  const std::string& path() const { return path_; }
  // A cgroup beside it in which nothing ever lives, and which stays.
  std::string idle_path() const { return path_ + "-idle"; }
  // Removes and makes it anew, with all its counters at zero. Nothing may live in it.
  absl::Status Reset() const;

 private:
  explicit CgroupTree(std::string path) : path_(std::move(path)) {}
  absl::Status MakeFolder() const;

  const std::string path_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_CGROUP_H_
