#include "storage/image/reference.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxReference = 1024;
constexpr size_t kMaxName = 255;  // domain and path together
constexpr size_t kMaxTag = 128;

bool IsLowerAlnum(char c) { return absl::ascii_isdigit(c) || absl::ascii_islower(c); }

// One or more letters and digits, joined by one '.', one or two '_' or any number of '-'.
bool IsPathComponent(absl::string_view component) {
  if (component.empty() || !IsLowerAlnum(component.front()) || !IsLowerAlnum(component.back())) return false;
  for (size_t i = 0; i < component.size();) {
    if (IsLowerAlnum(component[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < component.size() && !IsLowerAlnum(component[end])) ++end;
    const absl::string_view separator = component.substr(i, end - i);
    const bool dashes = separator.find_first_not_of('-') == absl::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
    i = end;
  }
  return true;
}

bool IsHost(absl::string_view host) {
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    const absl::string_view address = host.substr(1, host.size() - 2);
    return !address.empty() &&
           std::all_of(address.begin(), address.end(), [](char c) { return absl::ascii_isxdigit(c) || c == ':'; });
  }
  for (absl::string_view label : absl::StrSplit(host, '.')) {
    if (label.empty() || !absl::ascii_isalnum(label.front()) || !absl::ascii_isalnum(label.back())) return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return absl::ascii_isalnum(c) || c == '-'; }))
      return false;
  }
  return true;
}

bool IsDomain(absl::string_view domain) {
  const size_t colon = domain.rfind(':');
  if (colon == absl::string_view::npos || absl::EndsWith(domain, "]")) return IsHost(domain);
  const absl::string_view port = domain.substr(colon + 1);
  int number = 0;
  return IsHost(domain.substr(0, colon)) && !port.empty() &&
         std::all_of(port.begin(), port.end(), [](char c) { return absl::ascii_isdigit(c); }) &&
         absl::SimpleAtoi(port, &number) && number > 0 && number <= 65535;
}

bool IsTag(absl::string_view tag) {
  const auto is_word = [](char c) { return absl::ascii_isalnum(c) || c == '_'; };
  return !tag.empty() && tag.size() <= kMaxTag && is_word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

// A first component is a host if it looks like one: that is what tells "foo/bar" from "foo.io/bar".
bool LooksLikeDomain(absl::string_view component) {
  return component.find_first_of(".:") != absl::string_view::npos || component == "localhost" ||
         absl::AsciiStrToLower(component) != component;
}

}  // namespace

absl::StatusOr<ImageReference> ImageReference::Parse(absl::string_view text) {
  const auto error = [&](const auto&... why) {
    return absl::InvalidArgumentError(
        absl::StrCat("image reference \"", absl::CHexEscape(text.substr(0, 200)), "\": ", why...));
  };
  if (text.empty()) return error("is empty");
  if (text.size() > kMaxReference) return error("is longer than ", kMaxReference, " characters");

  ImageReference reference;
  absl::string_view rest = text;
  if (const size_t at = rest.find('@'); at != absl::string_view::npos) {
    absl::StatusOr<Digest> digest = Digest::Parse(rest.substr(at + 1));
    if (!digest.ok()) return error(digest.status().message());
    reference.digest = *digest;
    rest = rest.substr(0, at);
  }
  const size_t slash = rest.find('/');
  if (slash != absl::string_view::npos && LooksLikeDomain(rest.substr(0, slash))) {
    reference.domain = std::string(rest.substr(0, slash));
    rest = rest.substr(slash + 1);
  } else {
    reference.domain = "docker.io";
  }
  if (reference.domain == "index.docker.io") reference.domain = "docker.io";
  if (!IsDomain(reference.domain)) return error("\"", absl::CHexEscape(reference.domain), "\" is not a host name");

  std::string tag;
  if (const size_t colon = rest.find(':'); colon != absl::string_view::npos) {
    tag = std::string(rest.substr(colon + 1));
    rest = rest.substr(0, colon);
    if (!IsTag(tag)) return error("\"", absl::CHexEscape(tag), "\" is not a tag");
  }
  if (tag.empty() && reference.digest.empty() && slash == absl::string_view::npos &&
      Digest::Parse(absl::StrCat("sha256:", rest)).ok())
    return error("64 hexadecimal digits are an image id, not a name");
  reference.path = std::string(rest);
  if (reference.domain == "docker.io" && !absl::StrContains(rest, '/')) reference.path = absl::StrCat("library/", rest);
  for (absl::string_view component : absl::StrSplit(reference.path, '/')) {
    if (IsPathComponent(component)) continue;
    const bool upper = absl::AsciiStrToLower(component) != component;
    return error(upper ? "a repository name must be lower case" : "malformed repository name");
  }
  if (reference.repository().size() > kMaxName) return error("the name is longer than ", kMaxName, " characters");
  if (reference.digest.empty()) reference.tag = tag.empty() ? "latest" : tag;
  return reference;
}

std::string ImageReference::ToString() const {
  return digest.empty() ? absl::StrCat(repository(), ":", tag) : absl::StrCat(repository(), "@", digest.ToString());
}

}  // namespace podvisor
