#include "storage/registry/credentials.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxConfig = 1 << 20;

// "https://index.docker.io/v1/" and "registry-1.docker.io" are one registry; scheme and path say nothing.
std::string CanonicalHost(absl::string_view address) {
  if (!absl::ConsumePrefix(&address, "https://")) absl::ConsumePrefix(&address, "http://");
  std::string host(address.substr(0, address.find('/')));
  if (host == "index.docker.io" || host == "registry-1.docker.io") return "docker.io";
  return host;
}

absl::StatusOr<Credentials> Convert(const RegistryAuth& auth, const std::string& where) {
  Credentials result;
  result.identity_token = auth.identity_token;
  result.registry_token = auth.registry_token;
  result.username = auth.username;
  result.password = auth.password;
  if (!result.username.empty() || auth.auth.empty()) return result;
  std::string decoded;
  const bool ok = absl::Base64Unescape(auth.auth, &decoded);
  const size_t colon = decoded.find(':');
  if (!ok || colon == std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat(where, ": auth is not the base64 of user:password"));
  result.username = decoded.substr(0, colon);
  result.password = decoded.substr(colon + 1);
  // Old docker clients padded the password with zero bytes.
  while (!result.password.empty() && result.password.back() == '\0') result.password.pop_back();
  return result;
}

std::string Text(const nlohmann::json& entry, const char* key) {
  const auto found = entry.find(key);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<Credentials> FindCredentials(const RegistryAuth& auth, const std::string& docker_config,
                                            const std::string& host) {
  const std::string wanted = CanonicalHost(host);
  ASSIGN_OR_RETURN(Credentials given, Convert(auth, "credentials of the request"));
  if (!given.empty()) {
    if (auth.server_address.empty() || CanonicalHost(auth.server_address) == wanted) return given;
    return Credentials();  // meant for another host: the request's word goes before the file's
  }
  if (docker_config.empty()) return Credentials();
  absl::StatusOr<std::string> text = ReadFile(docker_config, kMaxConfig);
  if (absl::IsNotFound(text.status())) return Credentials();
  RETURN_IF_ERROR(text.status(), "docker configuration");
  const nlohmann::json config = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object())
    return absl::InvalidArgumentError(absl::StrCat("docker configuration ", docker_config, ": not a JSON object"));
  const auto auths = config.find("auths");
  if (auths == config.end() || !auths->is_object()) return Credentials();
  for (const auto& [key, entry] : auths->items()) {
    if (CanonicalHost(key) != wanted || !entry.is_object()) continue;
    return Convert({.username = Text(entry, "username"),
                    .password = Text(entry, "password"),
                    .auth = Text(entry, "auth"),
                    .server_address = "",
                    .identity_token = Text(entry, "identitytoken"),
                    .registry_token = Text(entry, "registrytoken")},
                   absl::StrCat("docker configuration ", docker_config, ": entry ", key));
  }
  return Credentials();
}

}  // namespace podvisor
