#include "vmm/qemu/vcpu_places.h"

#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vmm/qemu/qmp_fields.h"

namespace podvisor {

using nlohmann::json;

VcpuPlaces ReadVcpuPlaces(const json& answer) {
  VcpuPlaces places;
  std::map<int64_t, json> free;  // by core
  for (const json& place : QmpList(answer)) {
    if (place.contains("qom-path")) {
      ++places.present;
      continue;
    }
    json arguments = QmpMember(place, "props");
    const int64_t core = QmpNumber(arguments, "core-id", 0);
    if (!arguments.is_object()) continue;
    arguments["driver"] = QmpText(place, "type");
    arguments["id"] = absl::StrCat("cpu", core);
    free.emplace(core, std::move(arguments));
  }
  for (auto& [core, arguments] : free) places.free.push_back(std::move(arguments));
  return places;
}

}  // namespace podvisor
