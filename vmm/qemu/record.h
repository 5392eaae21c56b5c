// What a later daemon needs to find a running QEMU again.
#ifndef PODVISOR_VMM_QEMU_RECORD_H_
#define PODVISOR_VMM_QEMU_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/process.h"

namespace podvisor {

// Fixed for the life of the VM; the rest is asked of QEMU.
struct QemuRecord {
  std::string id;
  std::string runtime_dir;
  ProcessIdentity process;
  int vcpus = 1;
  int max_vcpus = 1;
  uint64_t memory_bytes = 0;
  uint64_t max_memory_bytes = 0;
  int disk_slots = 0;

  friend bool operator==(const QemuRecord&, const QemuRecord&) = default;
};

std::string SerializeRecord(const QemuRecord& record);
// kInvalidArgument if it is none, kUnimplemented if it is of a later version.
absl::StatusOr<QemuRecord> ParseRecord(absl::string_view bytes);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_RECORD_H_
