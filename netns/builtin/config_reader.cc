#include "netns/builtin/config_reader.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

const nlohmann::json* Find(const nlohmann::json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::Status WrongType(const std::string& key, const char* wanted) {
  return absl::FailedPreconditionError(absl::StrCat("\"", key, "\" is no ", wanted));
}

}  // namespace

absl::StatusOr<bool> BoolField(const nlohmann::json& object, const std::string& key, bool missing) {
  const nlohmann::json* value = Find(object, key);
  if (value == nullptr) return missing;
  if (!value->is_boolean()) return WrongType(key, "boolean");
  return value->get<bool>();
}

absl::StatusOr<int64_t> IntField(const nlohmann::json& object, const std::string& key, int64_t missing) {
  const nlohmann::json* value = Find(object, key);
  if (value == nullptr) return missing;
  if (!value->is_number_integer()) return WrongType(key, "whole number");
  return value->get<int64_t>();
}

absl::StatusOr<std::string> StringField(const nlohmann::json& object, const std::string& key,
                                        const std::string& missing) {
  const nlohmann::json* value = Find(object, key);
  if (value == nullptr) return missing;
  if (!value->is_string()) return WrongType(key, "string");
  return value->get<std::string>();
}

absl::StatusOr<std::vector<std::string>> StringsField(const nlohmann::json& object, const std::string& key) {
  ASSIGN_OR_RETURN(const nlohmann::json list, ArrayField(object, key));
  std::vector<std::string> strings;
  for (const nlohmann::json& entry : list) {
    if (!entry.is_string()) return WrongType(key, "list of strings");
    strings.push_back(entry.get<std::string>());
  }
  return strings;
}

absl::StatusOr<nlohmann::json> ObjectField(const nlohmann::json& object, const std::string& key) {
  const nlohmann::json* value = Find(object, key);
  if (value == nullptr) return nlohmann::json::object();
  if (!value->is_object()) return WrongType(key, "object");
  return *value;
}

absl::StatusOr<nlohmann::json> ArrayField(const nlohmann::json& object, const std::string& key) {
  const nlohmann::json* value = Find(object, key);
  if (value == nullptr) return nlohmann::json::array();
  if (!value->is_array()) return WrongType(key, "list");
  return *value;
}

}  // namespace podvisor
