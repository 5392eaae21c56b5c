#include "netns/cni_cache.h"

#include <errno.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "netns/cni_json.h"

namespace podvisor {
namespace {

constexpr size_t kMaxEntryBytes = 16 << 20;
constexpr char kKind[] = "cniCacheV1";
constexpr char kPending[] = "pending";
constexpr char kAdded[] = "added";

std::string EntryPath(const std::string& dir, const std::string& container_id, const std::string& interface) {
  return absl::StrCat(dir, "/", container_id, "-", interface);
}

absl::StatusOr<CniCacheEntry> ParseEntry(const std::string& text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text));
  ASSIGN_OR_RETURN(const std::string kind, StringMember(json, "kind"));
  ASSIGN_OR_RETURN(const std::string state, StringMember(json, "podvisorState"));
  if (kind != kKind || (state != kPending && state != kAdded))
    return absl::InvalidArgumentError(absl::StrCat("kind is \"", kind, "\", podvisorState is \"", state, "\""));
  CniCacheEntry entry;
  entry.state = state == kAdded ? CniCacheState::kAdded : CniCacheState::kPending;
  CniAttachment& attachment = entry.attachment;
  ASSIGN_OR_RETURN(const std::string encoded, StringMember(json, "config"));
  std::string config;
  if (!absl::Base64Unescape(encoded, &config)) return absl::InvalidArgumentError("\"config\" is no base64");
  ASSIGN_OR_RETURN(const std::string file, StringMember(json, "podvisorConfigFile"));
  ASSIGN_OR_RETURN(attachment.network, ParseCniConfig(config, file));
  ASSIGN_OR_RETURN(attachment.environment.container_id, StringMember(json, "containerId"));
  ASSIGN_OR_RETURN(attachment.environment.interface, StringMember(json, "ifName"));
  ASSIGN_OR_RETURN(attachment.environment.netns, StringMember(json, "podvisorNetns"));
  ASSIGN_OR_RETURN(attachment.environment.args, StringMember(json, "podvisorCniArgs"));
  if (const auto builtin = json.find("podvisorBuiltin"); builtin != json.end() && builtin->is_boolean())
    entry.builtin = builtin->get<bool>();
  if (const auto args = json.find("capabilityArgs"); args != json.end() && args->is_object())
    attachment.capability_args = PrintJson(*args);
  if (const auto result = json.find("result"); result != json.end() && result->is_object())
    attachment.result = PrintJson(*result);
  return entry;
}

}  // namespace

absl::Status WriteCniCache(const std::string& dir, const CniCacheEntry& entry) {
  const CniAttachment& attachment = entry.attachment;
  nlohmann::json json = {
      {"kind", kKind},
      {"podvisorState", entry.state == CniCacheState::kAdded ? kAdded : kPending},
      {"podvisorBuiltin", entry.builtin},
      {"config", absl::Base64Escape(attachment.network.text)},
      {"podvisorConfigFile", attachment.network.file},
      {"containerId", attachment.environment.container_id},
      {"ifName", attachment.environment.interface},
      {"networkName", attachment.network.name},
      {"podvisorNetns", attachment.environment.netns},
      {"podvisorCniArgs", attachment.environment.args},
  };
  ASSIGN_OR_RETURN(json["capabilityArgs"], ParseJsonObject(attachment.capability_args), "capability arguments");
  if (!attachment.result.empty()) {
    ASSIGN_OR_RETURN(json["result"], ParseJsonObject(attachment.result), "CNI result");
  }
  // Results hold nothing secret, but configurations of plugins may.
  return WriteFileAtomically(EntryPath(dir, attachment.environment.container_id, attachment.environment.interface),
                             PrintJson(json), 0600);
}

absl::StatusOr<CniCacheEntry> ReadCniCache(const std::string& dir, const std::string& container_id,
                                           const std::string& interface) {
  const std::string path = EntryPath(dir, container_id, interface);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxEntryBytes));
  absl::StatusOr<CniCacheEntry> entry = ParseEntry(text);
  if (!entry.ok()) return absl::DataLossError(absl::StrCat(path, ": ", entry.status().message()));
  return entry;
}

bool HasCniCache(const std::string& dir, const std::string& container_id, const std::string& interface) {
  return ::access(EntryPath(dir, container_id, interface).c_str(), F_OK) == 0;
}

absl::Status RemoveCniCache(const std::string& dir, const std::string& container_id, const std::string& interface) {
  const std::string path = EntryPath(dir, container_id, interface);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("remove ", path));
  return absl::OkStatus();
}

}  // namespace podvisor
