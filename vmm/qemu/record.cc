#include "vmm/qemu/record.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace podvisor {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

}  // namespace

std::string SerializeRecord(const QemuRecord& record) {
  const json object = {{"version", kVersion},
                       {"id", record.id},
                       {"runtime_dir", record.runtime_dir},
                       {"pid", record.process.pid},
                       {"start_ticks", record.process.start_ticks},
                       {"vcpus", record.vcpus},
                       {"max_vcpus", record.max_vcpus},
                       {"memory_bytes", record.memory_bytes},
                       {"max_memory_bytes", record.max_memory_bytes},
                       {"disk_slots", record.disk_slots}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<QemuRecord> ParseRecord(absl::string_view bytes) {
  const json object = json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("VM record: not of the QEMU driver");
  try {
    if (const int version = object.at("version"); version > kVersion)
      return absl::UnimplementedError(absl::StrCat("VM record: of version ", version, ", written by a later podvisor"));
    QemuRecord record;
    object.at("id").get_to(record.id);
    object.at("runtime_dir").get_to(record.runtime_dir);
    object.at("pid").get_to(record.process.pid);
    object.at("start_ticks").get_to(record.process.start_ticks);
    object.at("vcpus").get_to(record.vcpus);
    object.at("max_vcpus").get_to(record.max_vcpus);
    object.at("memory_bytes").get_to(record.memory_bytes);
    object.at("max_memory_bytes").get_to(record.max_memory_bytes);
    object.at("disk_slots").get_to(record.disk_slots);
    return record;
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("VM record: ", error.what()));
  }
}

}  // namespace podvisor
