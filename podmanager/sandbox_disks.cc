#include "podmanager/sandbox_disks.h"

#include "base/status_macros.h"

namespace podvisor {

void SandboxDisks::AwaitTurn() {
  mu_.Await(absl::Condition(this, &SandboxDisks::Idle));
  busy_ = true;
}

absl::StatusOr<GuestDisk> SandboxDisks::Attach(Vm& vm, const std::string& path, const std::string& container_id) {
  {
    absl::MutexLock lock(&mu_);
    AwaitTurn();
    Entry& entry = by_path_[path];
    if (!entry.disk.pci_path.empty() || !entry.disk.scsi_addr.empty()) {
      entry.users.insert(container_id);
      busy_ = false;
      return entry.disk;
    }
  }
  // Idempotent in the driver: also how the address of a disk is learnt that an earlier daemon attached.
  absl::StatusOr<GuestDisk> disk = vm.AttachDisk({.path = path, .read_only = true});
  absl::MutexLock lock(&mu_);
  busy_ = false;
  Entry& entry = by_path_[path];
  if (!disk.ok()) {
    if (entry.users.empty()) by_path_.erase(path);
    return Annotate(std::move(disk).status(), "attach image ", path);
  }
  entry.disk = *disk;
  entry.users.insert(container_id);
  return disk;
}

absl::Status SandboxDisks::Detach(Vm& vm, const std::string& path, const std::string& container_id) {
  std::string disk_id;
  {
    absl::MutexLock lock(&mu_);
    AwaitTurn();
    auto it = by_path_.find(path);
    if (it == by_path_.end() || it->second.users.count(container_id) == 0 || it->second.users.size() > 1) {
      if (it != by_path_.end()) it->second.users.erase(container_id);
      busy_ = false;
      return absl::OkStatus();
    }
    disk_id = it->second.disk.id;
  }
  absl::Status status = vm.DetachDisk(disk_id);
  absl::MutexLock lock(&mu_);
  busy_ = false;
  if (!status.ok()) return Annotate(std::move(status), "detach image ", path);
  by_path_.erase(path);
  return status;
}

void SandboxDisks::Restore(const std::string& path, const std::string& disk_id, const std::string& container_id) {
  absl::MutexLock lock(&mu_);
  Entry& entry = by_path_[path];
  entry.disk.id = disk_id;
  entry.users.insert(container_id);
}

}  // namespace podvisor
