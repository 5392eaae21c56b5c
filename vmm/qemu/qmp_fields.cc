#include "vmm/qemu/qmp_fields.h"

namespace podvisor {

using nlohmann::json;

const json& QmpMember(const json& object, const char* key) {
  static const json nothing;
  const auto member = object.find(key);
  return member == object.end() ? nothing : *member;
}

std::string QmpText(const json& object, const char* key) {
  const json& member = QmpMember(object, key);
  return member.is_string() ? member.get<std::string>() : "";
}

int64_t QmpNumber(const json& object, const char* key, int64_t otherwise) {
  const json& member = QmpMember(object, key);
  if (member.is_number_unsigned() && member.get<uint64_t>() > INT64_MAX) return otherwise;
  return member.is_number_integer() ? member.get<int64_t>() : otherwise;
}

const json& QmpList(const json& answer) {
  static const json empty = json::array();
  return answer.is_array() ? answer : empty;
}

}  // namespace podvisor
