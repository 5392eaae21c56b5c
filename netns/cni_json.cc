#include "netns/cni_json.h"

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace podvisor {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == absl::string_view::npos) return absl::InvalidArgumentError("it is empty");
  bool too_deep = false;
  const auto check_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  nlohmann::json value;
  try {
    value = nlohmann::json::parse(text.begin(), text.end(), check_depth);
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.what()));
  }
  if (too_deep) return absl::InvalidArgumentError(absl::StrCat("JSON nested deeper than ", kMaxDepth));
  if (!value.is_object()) return absl::InvalidArgumentError(absl::StrCat("a JSON ", value.type_name(), ", no object"));
  return value;
}

absl::StatusOr<std::string> StringMember(const nlohmann::json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is no string"));
  return found->get<std::string>();
}

std::string PrintJson(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace podvisor
