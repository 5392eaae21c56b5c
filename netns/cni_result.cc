#include "netns/cni_result.h"

#include <arpa/inet.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "netns/cni_config.h"
#include "netns/cni_json.h"

namespace podvisor {
namespace {

constexpr size_t kMaxAddresses = 256;
constexpr size_t kMaxDnsEntries = 64;

bool IsPrefix(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return false;
  unsigned char bytes[sizeof(in6_addr)];
  const std::string address = text.substr(0, slash);
  uint32_t length = 0;
  if (!absl::SimpleAtoi(text.substr(slash + 1), &length)) return false;
  if (::inet_pton(AF_INET, address.c_str(), bytes) == 1) return length <= 32;
  return ::inet_pton(AF_INET6, address.c_str(), bytes) == 1 && length <= 128;
}

// Whether entry `ip` names an interface other than the pod's.
absl::StatusOr<bool> BelongsElsewhere(const nlohmann::json& result, const nlohmann::json& ip,
                                      const std::string& interface) {
  const auto index = ip.find("interface");
  if (index == ip.end() || index->is_null()) return false;
  if (!index->is_number_integer()) return absl::InvalidArgumentError("\"interface\" is no whole number");
  // Some plugins say -1 for "none". Unsigned first: nlohmann compares 2^64 - 1 with 0 as if it were -1.
  if (!index->is_number_unsigned() && index->get<int64_t>() < 0) return false;
  const auto interfaces = result.find("interfaces");
  if (interfaces == result.end() || !interfaces->is_array() || index->get<uint64_t>() >= interfaces->size())
    return absl::InvalidArgumentError(absl::StrCat("\"interface\" is ", index->dump(), ", and there is none"));
  const nlohmann::json& owner = (*interfaces)[index->get<size_t>()];
  if (!owner.is_object()) return absl::InvalidArgumentError("\"interfaces\" holds something that is no object");
  ASSIGN_OR_RETURN(const std::string name, StringMember(owner, "name"));
  ASSIGN_OR_RETURN(const std::string sandbox, StringMember(owner, "sandbox"));
  return name != interface || sandbox.empty();
}

absl::Status ReadAddresses(const nlohmann::json& result, const std::string& interface, CniResult& into) {
  const auto ips = result.find("ips");
  if (ips == result.end() || ips->is_null()) return absl::OkStatus();
  if (!ips->is_array()) return absl::InvalidArgumentError("\"ips\" is no list");
  if (ips->size() > kMaxAddresses)
    return absl::InvalidArgumentError(absl::StrCat("\"ips\" has ", ips->size(), " entries"));
  for (const nlohmann::json& ip : *ips) {
    if (!ip.is_object()) return absl::InvalidArgumentError("\"ips\" holds something that is no object");
    ASSIGN_OR_RETURN(const std::string address, StringMember(ip, "address"), "ips");
    if (!IsPrefix(address))
      return absl::InvalidArgumentError(
          absl::StrCat("ips: \"address\" is \"", address, "\", no address with prefix length"));
    ASSIGN_OR_RETURN(const bool elsewhere, BelongsElsewhere(result, ip, interface), "ips: ", address);
    if (!elsewhere) into.addresses.push_back(address);
  }
  return absl::OkStatus();
}

// They become lines of resolv.conf.
bool HasLineBreak(const std::string& text) { return text.find_first_of("\n\r\0", 0, 3) != std::string::npos; }

absl::StatusOr<std::vector<std::string>> Strings(const nlohmann::json& object, const std::string& key) {
  std::vector<std::string> strings;
  const auto list = object.find(key);
  if (list == object.end() || list->is_null()) return strings;
  if (!list->is_array() || list->size() > kMaxDnsEntries)
    return absl::InvalidArgumentError(absl::StrCat("dns: \"", key, "\" is no list of at most ", kMaxDnsEntries));
  for (const nlohmann::json& entry : *list) {
    if (!entry.is_string()) return absl::InvalidArgumentError(absl::StrCat("dns: \"", key, "\" holds no string"));
    strings.push_back(entry.get<std::string>());
    if (HasLineBreak(strings.back()))
      return absl::InvalidArgumentError(absl::StrCat("dns: \"", key, "\" holds a line break"));
  }
  return strings;
}

absl::Status ReadDns(const nlohmann::json& result, CniResult& into) {
  const auto dns = result.find("dns");
  if (dns == result.end() || dns->is_null()) return absl::OkStatus();
  if (!dns->is_object()) return absl::InvalidArgumentError("\"dns\" is no object");
  ASSIGN_OR_RETURN(into.dns_servers, Strings(*dns, "nameservers"));
  ASSIGN_OR_RETURN(into.dns_searches, Strings(*dns, "search"));
  ASSIGN_OR_RETURN(into.dns_options, Strings(*dns, "options"));
  ASSIGN_OR_RETURN(const std::string domain, StringMember(*dns, "domain"), "dns");
  if (HasLineBreak(domain)) return absl::InvalidArgumentError("dns: \"domain\" holds a line break");
  // resolv.conf(5): the local domain is the search list where there is no other.
  if (into.dns_searches.empty() && !domain.empty()) into.dns_searches.push_back(domain);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CniResult> ParseCniResult(absl::string_view text, const std::string& interface) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonObject(text));
  ASSIGN_OR_RETURN(const std::string version, StringMember(json, "cniVersion"));
  if (!version.empty() && !IsSupportedCniVersion(version))
    return absl::InvalidArgumentError(absl::StrCat("it has cniVersion ", version, ", which is not supported"));
  CniResult result;
  RETURN_IF_ERROR(ReadAddresses(json, interface, result));
  RETURN_IF_ERROR(ReadDns(json, result));
  return result;
}

std::optional<CniError> ParseCniError(absl::string_view text) {
  const absl::StatusOr<nlohmann::json> json = ParseJsonObject(text);
  if (!json.ok()) return std::nullopt;
  const auto code = json->find("code");
  if (code == json->end() || !code->is_number_unsigned()) return std::nullopt;
  CniError error;
  error.code = code->get<uint64_t>();
  error.message = StringMember(*json, "msg").value_or("");
  error.details = StringMember(*json, "details").value_or("");
  return error;
}

absl::StatusCode CodeOfCniError(uint64_t code) {
  switch (code) {
    case 11:  // try again later
    case 50:  // STATUS: not available
      return absl::StatusCode::kUnavailable;
    case 1:  // incompatible CNI version
    case 2:  // unsupported field in the configuration
    case 4:  // invalid environment
    case 6:  // configuration can't be decoded
    case 7:  // invalid configuration
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace podvisor
