// JSON that others wrote: parsed with a limit on its depth, since what is nested a million deep overflows the stack of
// whoever prints it again.
#ifndef PODVISOR_NETNS_CNI_JSON_H_
#define PODVISOR_NETNS_CNI_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

// An object, else kInvalidArgument that says what is wrong and where.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text);

// The string member `key` of an object; empty if there is none. kInvalidArgument if it is no string.
absl::StatusOr<std::string> StringMember(const nlohmann::json& object, const std::string& key);

// On one line; bytes that are no UTF-8 are replaced.
std::string PrintJson(const nlohmann::json& value);

}  // namespace podvisor

#endif  // PODVISOR_NETNS_CNI_JSON_H_
