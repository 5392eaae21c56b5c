#include "podmanager/spec/seccomp.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "podmanager/spec/seccomp_arch.h"

namespace podvisor {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxProfileBytes = 1 << 20;

constexpr absl::string_view kActions[] = {
    "SCMP_ACT_ALLOW",       "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",   "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
};
constexpr absl::string_view kOperators[] = {
    "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ",
};

template <typename List>
bool Contains(const List& list, const std::string& value) {
  return std::find(std::begin(list), std::end(list), value) != std::end(list);
}

// The readers below throw Json::exception for a wrong type; ParseSeccompProfile() makes a status of it.

std::vector<std::string> Strings(const Json& object, const char* key) {
  if (!object.contains(key) || object[key].is_null()) return {};
  return object[key].get<std::vector<std::string>>();
}

absl::StatusOr<std::string> Action(const Json& object, const char* key) {
  const std::string action = object.at(key).get<std::string>();
  if (!Contains(kActions, action))
    return absl::InvalidArgumentError(absl::StrCat(key, " \"", action, "\" is unknown or not supported in a VM"));
  return action;
}

// Docker's "includes" and "excludes": whether the rule is for this container. Kernels older than the guest's are none
// of our business, so minKernel always holds.
bool Applies(const Json& rule, const std::set<std::string>& bounding) {
  const auto holds = [&bounding](const std::string& capability) { return bounding.count(capability) > 0; };
  const auto here = [](const std::string& arch) { return arch == kSeccompGoArch; };
  if (rule.contains("includes") && rule["includes"].is_object()) {
    const std::vector<std::string> caps = Strings(rule["includes"], "caps");
    const std::vector<std::string> arches = Strings(rule["includes"], "arches");
    if (!std::all_of(caps.begin(), caps.end(), holds)) return false;
    if (!arches.empty() && std::none_of(arches.begin(), arches.end(), here)) return false;
  }
  if (rule.contains("excludes") && rule["excludes"].is_object()) {
    const std::vector<std::string> caps = Strings(rule["excludes"], "caps");
    const std::vector<std::string> arches = Strings(rule["excludes"], "arches");
    if (std::any_of(caps.begin(), caps.end(), holds)) return false;
    if (std::any_of(arches.begin(), arches.end(), here)) return false;
  }
  return true;
}

absl::Status ReadArgument(const Json& json, grpc::LinuxSeccompArg* arg) {
  const uint64_t index = json.at("index").get<uint64_t>();
  if (index > 5) return absl::InvalidArgumentError(absl::StrCat("argument index ", index, " is above 5"));
  const std::string op = json.at("op").get<std::string>();
  if (!Contains(kOperators, op)) return absl::InvalidArgumentError(absl::StrCat("unknown operator \"", op, "\""));
  arg->set_index(index);
  arg->set_value(json.value("value", uint64_t{0}));
  arg->set_valuetwo(json.value("valueTwo", uint64_t{0}));
  arg->set_op(op);
  return absl::OkStatus();
}

absl::Status ReadRule(const Json& json, grpc::LinuxSyscall* rule) {
  std::vector<std::string> names = Strings(json, "names");
  if (json.contains("name")) names.push_back(json["name"].get<std::string>());
  if (names.empty()) return absl::InvalidArgumentError("a rule without names");
  for (std::string& name : names) rule->add_names(std::move(name));
  ASSIGN_OR_RETURN(std::string action, Action(json, "action"));
  rule->set_action(action);
  if (json.contains("errnoRet") && !json["errnoRet"].is_null()) rule->set_errnoret(json["errnoRet"].get<uint32_t>());
  if (json.contains("args") && json["args"].is_array())
    for (const Json& arg : json["args"]) RETURN_IF_ERROR(ReadArgument(arg, rule->add_args()), rule->names(0));
  return absl::OkStatus();
}

void ReadArchitectures(const Json& json, grpc::LinuxSeccomp* profile) {
  for (std::string& arch : Strings(json, "architectures")) profile->add_architectures(std::move(arch));
  if (!json.contains("archMap") || !json["archMap"].is_array()) return;
  for (const Json& entry : json["archMap"]) {
    if (entry.at("architecture").get<std::string>() != kSeccompArch) continue;
    profile->add_architectures(kSeccompArch);
    for (std::string& arch : Strings(entry, "subArchitectures")) profile->add_architectures(std::move(arch));
  }
}

absl::StatusOr<grpc::LinuxSeccomp> ReadProfile(const Json& json, const std::set<std::string>& bounding) {
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  grpc::LinuxSeccomp profile;
  ASSIGN_OR_RETURN(std::string action, Action(json, "defaultAction"));
  profile.set_defaultaction(action);
  // The agent's protocol has no field for it, and it means EPERM there.
  if (action == "SCMP_ACT_ERRNO" && json.value("defaultErrnoRet", 1u) != 1)
    return absl::UnimplementedError("defaultErrnoRet other than 1 (EPERM) can't be told to the guest");
  if (json.contains("listenerPath")) return absl::UnimplementedError("listenerPath: notifications stay in the guest");
  ReadArchitectures(json, &profile);
  for (std::string& flag : Strings(json, "flags")) profile.add_flags(std::move(flag));
  if (json.contains("syscalls") && json["syscalls"].is_array())
    for (const Json& rule : json["syscalls"])
      if (Applies(rule, bounding)) RETURN_IF_ERROR(ReadRule(rule, profile.add_syscalls()));
  return profile;
}

}  // namespace

absl::StatusOr<std::string> LoadSeccompProfile(const std::string& path) {
  if (!absl::StartsWith(path, "/"))
    return absl::InvalidArgumentError(absl::StrCat("seccomp profile \"", path, "\" is not an absolute path"));
  absl::StatusOr<std::string> content = ReadFile(path, kMaxProfileBytes);
  RETURN_IF_ERROR(content.status(), "seccomp profile");
  return content;
}

absl::StatusOr<grpc::LinuxSeccomp> ParseSeccompProfile(const std::string& json, const std::set<std::string>& bounding) {
  try {
    return ReadProfile(Json::parse(json), bounding);
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not a seccomp profile: ", error.what()));
  }
}

}  // namespace podvisor
