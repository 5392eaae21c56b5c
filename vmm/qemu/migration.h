// The state of a QEMU's devices, written to a descriptor and read from one: QEMU calls both migration.
#ifndef PODVISOR_VMM_QEMU_MIGRATION_H_
#define PODVISOR_VMM_QEMU_MIGRATION_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace podvisor {

// Memory that is shared with a file is left out of the state (x-ignore-shared). One state is written or read in the
// life of a QEMU. Thread-safe.
//
// Source for the events and their order: QEMU's qapi/migration.json and migration/migration.c, 7.2.
class Migration {
 public:
  using Execute =
      std::function<absl::StatusOr<nlohmann::json>(const std::string& command, nlohmann::json arguments, int fd)>;

  // For the connection's event handler: data of a MIGRATION event.
  void Event(const nlohmann::json& data);
  // QEMU has ended: nothing more will come.
  void Ended();

  // Writes to `fd` (borrowed) with the vCPUs stopped. kFailedPrecondition if QEMU says why it can't, kUnavailable if it
  // ended or is not done by `deadline`.
  absl::Status Save(const Execute& execute, int fd, absl::Time deadline);

  // Reads from QEMU's own descriptor `number`. A state that QEMU can't use ends it: kFailedPrecondition, or
  // kUnavailable if its end was noticed first.
  absl::Status Load(const Execute& execute, int number, absl::Time deadline);

 private:
  absl::Status Wait(absl::Time deadline);

  absl::Mutex mu_;
  std::string status_ ABSL_GUARDED_BY(mu_);  // the last event's: "setup", "active", "completed"
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_MIGRATION_H_
