#include "storage/registry/registry_error.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace podvisor {
namespace {

constexpr size_t kMaxWords = 500;

absl::StatusCode CodeOf(int status) {
  if (status == 401) return absl::StatusCode::kUnauthenticated;
  if (status == 403) return absl::StatusCode::kPermissionDenied;
  if (status == 404) return absl::StatusCode::kNotFound;
  return absl::StatusCode::kUnavailable;
}

// The first message of {"errors": [{"code", "message"}]}, bounded and printable.
std::string Words(const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return "";
  const auto errors = json.find("errors");
  if (errors == json.end() || !errors->is_array() || errors->empty() || !errors->front().is_object()) return "";
  std::string words;
  for (const char* key : {"code", "message"}) {
    const auto text = errors->front().find(key);
    if (text != errors->front().end() && text->is_string())
      absl::StrAppend(&words, words.empty() ? "" : ": ", text->get<std::string>().substr(0, kMaxWords));
  }
  return absl::CHexEscape(words);
}

bool IsHeaderSafe(const std::string& text) {
  for (const char c : text)
    if (c <= ' ' || c == 0x7f) return false;
  return true;
}

}  // namespace

absl::Status ErrorOf(const HttpResponse& response, const std::string& hint) {
  std::string message = absl::StrCat(response.url, ": HTTP status ", response.status);
  if (const std::string words = Words(response.body); !words.empty()) absl::StrAppend(&message, ": ", words);
  if (!hint.empty()) absl::StrAppend(&message, ": ", hint);
  return absl::Status(CodeOf(response.status), message);
}

absl::StatusOr<std::string> TokenOf(const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  for (const char* key : {"token", "access_token"}) {
    if (!json.is_object()) break;
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string()) continue;
    const std::string token = found->get<std::string>();
    if (!token.empty() && IsHeaderSafe(token)) return token;
  }
  return absl::UnauthenticatedError("the answer holds no token");
}

std::string BasicAuthorization(const Credentials& credentials) {
  return absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(credentials.username, ":", credentials.password)));
}

}  // namespace podvisor
