// Fields of a plugin's configuration, with errors that name them.
#ifndef PODVISOR_NETNS_BUILTIN_CONFIG_READER_H_
#define PODVISOR_NETNS_BUILTIN_CONFIG_READER_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace podvisor {

// All take a JSON object. A missing member and null are the default; kFailedPrecondition if it is of another type.
absl::StatusOr<bool> BoolField(const nlohmann::json& object, const std::string& key, bool missing);
absl::StatusOr<int64_t> IntField(const nlohmann::json& object, const std::string& key, int64_t missing);
absl::StatusOr<std::string> StringField(const nlohmann::json& object, const std::string& key,
                                        const std::string& missing);
absl::StatusOr<std::vector<std::string>> StringsField(const nlohmann::json& object, const std::string& key);
// The member, or an empty object or array.
absl::StatusOr<nlohmann::json> ObjectField(const nlohmann::json& object, const std::string& key);
absl::StatusOr<nlohmann::json> ArrayField(const nlohmann::json& object, const std::string& key);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_BUILTIN_CONFIG_READER_H_
