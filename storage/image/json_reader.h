// Fields of JSON objects that others wrote: absent or null is empty, a wrong type is kDataLoss naming the field.
#ifndef PODVISOR_STORAGE_IMAGE_JSON_READER_H_
#define PODVISOR_STORAGE_IMAGE_JSON_READER_H_

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace podvisor {

absl::StatusOr<std::string> JsonText(const nlohmann::json& object, const char* key);
absl::StatusOr<std::vector<std::string>> JsonTextList(const nlohmann::json& object, const char* key);
absl::StatusOr<std::map<std::string, std::string>> JsonTextMap(const nlohmann::json& object, const char* key);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_IMAGE_JSON_READER_H_
