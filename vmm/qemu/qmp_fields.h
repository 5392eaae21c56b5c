// Members of QEMU's answers and events. A guest that has broken into its QEMU writes these, and the daemon serves other
// pods too: whatever is missing or of another type is the default, and nothing throws.
#ifndef PODVISOR_VMM_QEMU_QMP_FIELDS_H_
#define PODVISOR_VMM_QEMU_QMP_FIELDS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace podvisor {

// Empty if there is no such string in `object`, or it is no object.
std::string QmpText(const nlohmann::json& object, const char* key);

// A whole number that fits, else `otherwise`.
int64_t QmpNumber(const nlohmann::json& object, const char* key, int64_t otherwise);

// The member itself, or null. Lives as long as `object`.
const nlohmann::json& QmpMember(const nlohmann::json& object, const char* key);

// `answer` itself if it is a list, else an empty one.
const nlohmann::json& QmpList(const nlohmann::json& answer);

}  // namespace podvisor

#endif  // PODVISOR_VMM_QEMU_QMP_FIELDS_H_
