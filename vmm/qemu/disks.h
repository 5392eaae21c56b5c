// The disks of one running QEMU: slots that are filled and emptied, and SCSI disks that are plugged.
#ifndef PODVISOR_VMM_QEMU_DISKS_H_
#define PODVISOR_VMM_QEMU_DISKS_H_

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "vmm/hypervisor.h"

namespace podvisor {

// Thread-safe; calls wait for each other. QEMU knows all that this object knows: each image is handed to it as a
// descriptor in an "fdset" whose label is the disk's path and mode, so QEMU needs no right to the file and Load() finds
// everything again.
//
// A read-only disk takes a free slot: the slot's raw node is reopened onto the image's node, and back onto the empty
// one when it is detached. The guest sees one device of 1 TiB all the time. All others become SCSI disks of the right
// size, one target each.
class DiskTable {
 public:
  using Execute =
      std::function<absl::StatusOr<nlohmann::json>(const std::string& command, nlohmann::json arguments, int fd)>;

  // Blocks until QEMU has said that the device is gone; kUnavailable if it does not.
  using WaitDeleted = std::function<absl::Status(const std::string& device)>;

  DiskTable(int slots, Execute execute, WaitDeleted wait_deleted)
      : slots_(slots), execute_(std::move(execute)), wait_deleted_(std::move(wait_deleted)) {}

  // What QEMU has, after a restart of the daemon. Remains of a call that was cut off are removed.
  absl::Status Load();

  absl::StatusOr<GuestDisk> Attach(const DiskSpec& disk);
  absl::Status Detach(const std::string& disk_id);

 private:
  // Places are numbered: slots from 0, SCSI targets from kFirstTarget. The number names nodes, fdset and device.
  static constexpr int kFirstTarget = 100;
  static constexpr int kTargets = 64;

  absl::StatusOr<int> FreePlace(const DiskSpec& disk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Fill(int place, const DiskSpec& disk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Steps of Fill() and their undoing; undoing what has not been done is no error.
  absl::Status PassImage(int place, const DiskSpec& disk);
  absl::Status Plug(int place, const DiskSpec& disk);
  absl::Status Unplug(int place);
  absl::Status DropImage(int place);
  GuestDisk Describe(int place) const;

  const int slots_;
  const Execute execute_;
  const WaitDeleted wait_deleted_;
  absl::Mutex mu_;
  std::map<int, DiskSpec> used_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_DISKS_H_
