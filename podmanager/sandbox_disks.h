// Image disks of one VM: containers of the same image share one.
#ifndef PODVISOR_PODMANAGER_SANDBOX_DISKS_H_
#define PODVISOR_PODMANAGER_SANDBOX_DISKS_H_

#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Thread-safe. Attaching and detaching happen one after the other, without a lock held meanwhile; each waits for the
// VMM at most Vm::kVmmTimeout.
class SandboxDisks {
 public:
  // Attaches the disk unless a container has it already, and counts `container_id` among its users. Idempotent.
  absl::StatusOr<GuestDisk> Attach(Vm& vm, const std::string& path, const std::string& container_id);

  // Detaches it with its last user, who stays counted if that fails. Success if `container_id` does not use it. The
  // guest must have unmounted it.
  absl::Status Detach(Vm& vm, const std::string& path, const std::string& container_id);

  // After a restart: `container_id` uses the disk that an earlier daemon attached.
  void Restore(const std::string& path, const std::string& disk_id, const std::string& container_id);

 private:
  struct Entry {
    GuestDisk disk;  // without address until an Attach() of this daemon
    std::set<std::string> users;
  };
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !busy_; }
  void AwaitTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  bool busy_ ABSL_GUARDED_BY(mu_) = false;  // somebody talks to the VMM
  std::map<std::string, Entry> by_path_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_SANDBOX_DISKS_H_
