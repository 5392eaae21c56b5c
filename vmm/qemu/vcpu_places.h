// What QEMU says of the places where vCPUs are or can be.
#ifndef PODVISOR_VMM_QEMU_VCPU_PLACES_H_
#define PODVISOR_VMM_QEMU_VCPU_PLACES_H_

#include <nlohmann/json.hpp>
#include <vector>

namespace podvisor {

struct VcpuPlaces {
  int present = 0;                   // vCPUs that are there
  std::vector<nlohmann::json> free;  // device_add's arguments for one more each, in the order of cores
};

// `answer` is query-hotpluggable-cpus'. What is malformed in it is left out.
VcpuPlaces ReadVcpuPlaces(const nlohmann::json& answer);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_VCPU_PLACES_H_
