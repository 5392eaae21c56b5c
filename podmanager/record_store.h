// Sandboxes and containers on disk: rows of the state database.
#ifndef PODVISOR_PODMANAGER_RECORD_STORE_H_
#define PODVISOR_PODMANAGER_RECORD_STORE_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/state_db.h"
#include "podmanager/records.pb.h"

namespace podvisor {

inline constexpr uint32_t kRecordVersion = 1;

// Thread-safe. Writes do not wait for the disk (see StateDb), so they may be made under a sandbox's or container's
// lock: what is in memory and what is on disk then never differ.
class RecordStore {
 public:
  // `db` outlives the store.
  explicit RecordStore(StateDb& db) : db_(db) {}

  // Stamps the version. kResourceExhausted for a full disk; kUnavailable after Freeze().
  absl::Status Put(SandboxRecord record);
  absl::Status Put(ContainerRecord record);
  // The first record of a sandbox that takes the pool's VM of its id, whose row goes: both or neither, so that no VM is
  // used twice or lost.
  absl::Status PutTaken(SandboxRecord record);
  absl::Status Put(PoolRecord record);
  absl::Status DeletePoolVm(const std::string& id);
  absl::Status DeleteSandbox(const std::string& id);
  absl::Status DeleteContainer(const std::string& id);

  struct Loaded {
    std::vector<SandboxRecord> sandboxes;
    std::vector<ContainerRecord> containers;
    std::vector<PoolRecord> pool_vms;
    // Rows that are no such message: they have been deleted, and what they stood for is found as an orphan.
    std::vector<std::string> unreadable;
  };
  // kFailedPrecondition for rows of a newer podvisord.
  absl::StatusOr<Loaded> Load();

  // From now on nothing is written: the daemon goes down, and operations that fail because of that must not change what
  // the next daemon finds. As if it had been killed here.
  void Freeze() { frozen_ = true; }

 private:
  absl::Status CheckNotFrozen() const;

  StateDb& db_;
  std::atomic<bool> frozen_{false};
};

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_RECORD_STORE_H_
