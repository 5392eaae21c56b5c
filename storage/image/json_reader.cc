#include "storage/image/json_reader.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace podvisor {
namespace {

absl::Status WrongType(const char* key, const char* wanted) {
  return absl::DataLossError(absl::StrCat("\"", key, "\" is not ", wanted));
}

}  // namespace

absl::StatusOr<std::string> JsonText(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return WrongType(key, "a string");
  return found->get<std::string>();
}

absl::StatusOr<std::vector<std::string>> JsonTextList(const nlohmann::json& object, const char* key) {
  std::vector<std::string> list;
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return list;
  if (!found->is_array()) return WrongType(key, "a list of strings");
  for (const nlohmann::json& element : *found) {
    if (!element.is_string()) return WrongType(key, "a list of strings");
    list.push_back(element.get<std::string>());
  }
  return list;
}

absl::StatusOr<std::map<std::string, std::string>> JsonTextMap(const nlohmann::json& object, const char* key) {
  std::map<std::string, std::string> map;
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return map;
  if (!found->is_object()) return WrongType(key, "an object of strings");
  for (const auto& [name, value] : found->items()) {
    if (!value.is_string()) return WrongType(key, "an object of strings");
    map.emplace(name, value.get<std::string>());
  }
  return map;
}

}  // namespace podvisor
