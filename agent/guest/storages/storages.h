// Kata's Storage messages: what has to be mounted in the guest before a container can use it.
#ifndef PODVISOR_AGENT_GUEST_STORAGES_STORAGES_H_
#define PODVISOR_AGENT_GUEST_STORAGES_STORAGES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/guest/launch/pod_users.h"
#include "agent/guest/uevents.h"
#include "third_party/wire/agent.pb.h"

namespace podvisor::guest {

// What a container has written.
struct LayerUsage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  // Of the file system that it is on.
  uint64_t limit_bytes = 0;
  uint64_t inodes_limit = 0;
  uint64_t inodes_free = 0;
};

// The mounts of one container, or of the sandbox. They stay until Unmount() or the destructor.
class MountSet {
 public:
  MountSet() = default;
  MountSet(const MountSet&) = delete;
  MountSet& operator=(const MountSet&) = delete;
  ~MountSet() { Unmount(); }

  // Whose the files are in what is mounted from here on: images belong to their root as if they were its own.
  void SetUsers(const PodUsers& users) { users_ = users; }
  const PodUsers& users() const { return users_; }

  void Add(std::string mount_point) { mount_points_.push_back(std::move(mount_point)); }
  void AddFolder(std::string path) { folders_.push_back(std::move(path)); }
  // Mounts a file system in memory for all that follows below `folder`, so that what is written there can be measured
  // and thrown away at once.
  absl::Status MountLayer(const std::string& folder);
  // What is there by now was not written by the container.
  void EndLayerSetUp();
  // None without MountLayer().
  std::optional<LayerUsage> Layer() const;
  // In reverse; what is busy is detached and goes when its last user does. Folders that are empty then are removed.
  void Unmount();

 private:
  std::vector<std::string> mount_points_;
  std::vector<std::string> folders_;
  std::string layer_;
  uint64_t layer_inodes_ = 0;  // that were there before anything was written
  PodUsers users_;
};

using StorageList = google::protobuf::RepeatedPtrField<grpc::Storage>;

// Drivers: blk, scsi, 9p, virtio-fs, overlayfs, ephemeral, local, bind.
std::vector<std::string> StorageDrivers();

// Mounts all, in order, after waiting for disks that are on their way. Calls `done` once; on an error what was mounted
// is in `mounts` still.
void MountStorages(Uevents& uevents, const StorageList& storages, std::shared_ptr<MountSet> mounts,
                   std::function<void(const absl::Status&)> done);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_STORAGES_STORAGES_H_
