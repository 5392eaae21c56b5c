#include "storage/registry/registry_hosts.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>
// toml++ 3.3 asserts what it tests right after ("[[:" fails so): an error of the file, not the end of the process.
#define TOML_ASSERT(expression) static_assert(true)
// Parsing errors become statuses right where they are thrown.
#include <toml++/toml.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxFile = 1 << 20;
// toml++ walks its tables recursively, and "a.a.a" makes one in the other: each level takes of the stack.
constexpr std::ptrdiff_t kMaxDots = 2000;

bool IsLocal(absl::string_view host) {
  if (!absl::StartsWith(host, "[")) host = host.substr(0, host.rfind(':'));
  return host == "localhost" || absl::StartsWith(host, "127.") || absl::StartsWith(host, "[::1]");
}

bool HasLineBreak(std::string_view text) { return text.find_first_of("\r\n") != std::string_view::npos; }

// The folder of a domain that exists, or empty.
std::string FindFolder(const std::string& certs_dir, const std::string& domain) {
  if (certs_dir.empty()) return "";
  std::vector<std::string> names;
  if (const size_t colon = domain.rfind(':'); colon != std::string::npos)
    names.push_back(absl::StrCat(domain.substr(0, colon), "_", domain.substr(colon + 1), "_"));
  names.push_back(domain);
  names.push_back("_default");
  for (const std::string& name : names) {
    std::string folder = absl::StrCat(certs_dir, "/", name);
    if (::access(absl::StrCat(folder, "/hosts.toml").c_str(), F_OK) == 0) return folder;
  }
  return "";
}

// Reads one table of hosts.toml. `where` names file and table for errors.
class HostReader {
 public:
  HostReader(const toml::table& table, std::string folder, std::string where)
      : table_(table), folder_(std::move(folder)), where_(std::move(where)) {}

  absl::StatusOr<RegistryHost> Read(absl::string_view url, const std::string& domain) {
    RegistryHost host;
    RETURN_IF_ERROR(ReadUrl(url, host));
    if (host.host != domain && !(domain == "docker.io" && host.host == "registry-1.docker.io"))
      host.namespace_argument = domain;
    RETURN_IF_ERROR(ReadCapabilities(host));
    RETURN_IF_ERROR(ReadAuthorities(host.tls));
    RETURN_IF_ERROR(ReadClient(host.tls));
    RETURN_IF_ERROR(ReadHeaders(host));
    ASSIGN_OR_RETURN(const bool skip_verify, Flag("skip_verify"));
    if (skip_verify) host.tls.verify = TlsOptions::Verify::kSkip;
    return host;
  }

 private:
  absl::Status Error(absl::string_view key, absl::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(where_, ": ", key, ": ", why));
  }

  absl::StatusOr<bool> Flag(const char* key) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return false;
    if (!node->is_boolean()) return Error(key, "must be true or false");
    return node->as_boolean()->get();
  }

  // A string or a list of strings.
  absl::StatusOr<std::vector<std::string>> Strings(const char* key, const toml::node* node) const {
    std::vector<std::string> result;
    if (node == nullptr) return result;
    if (const auto* text = node->as_string()) return std::vector<std::string>{text->get()};
    const toml::array* array = node->as_array();
    if (array == nullptr) return Error(key, "must be a string or a list of strings");
    for (const toml::node& element : *array) {
      if (!element.is_string()) return Error(key, "must be a string or a list of strings");
      result.push_back(element.as_string()->get());
    }
    return result;
  }

  absl::Status ReadUrl(absl::string_view url, RegistryHost& host) const {
    std::string text(url);
    if (!absl::StrContains(text, "://")) {
      const std::string authority = text.substr(0, text.find('/'));
      text = absl::StrCat(IsLocal(authority) ? "http://" : "https://", text);
    }
    const size_t start = text.find("://") + 3;
    // Who asks later whether it is https does so by these letters. libcurl takes one slash for two as well.
    const std::string scheme = absl::AsciiStrToLower(text.substr(0, start));
    text.replace(0, start, scheme);
    if ((scheme != "http://" && scheme != "https://") || UrlOrigin(text).empty())
      return Error(url, "is not an http or https URL");
    const size_t slash = text.find('/', start);
    host.host = text.substr(start, slash == std::string::npos ? slash : slash - start);
    // libcurl takes "https:///name" for "https://name".
    if (host.host.empty()) return Error(url, "names no host");
    while (absl::EndsWith(text, "/")) text.pop_back();
    ASSIGN_OR_RETURN(const bool override_path, Flag("override_path"));
    if (!override_path && !absl::EndsWith(text, "/v2")) text += "/v2";
    host.base_url = text;
    return absl::OkStatus();
  }

  absl::Status ReadCapabilities(RegistryHost& host) const {
    const toml::node* node = table_.get("capabilities");
    if (node == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<std::string> names, Strings("capabilities", node));
    host.can_pull = host.can_resolve = false;
    for (const std::string& name : names) {
      if (name == "pull")
        host.can_pull = true;
      else if (name == "resolve")
        host.can_resolve = true;
      else if (name != "push")
        return Error("capabilities", absl::StrCat("unknown capability \"", name, "\""));
    }
    return absl::OkStatus();
  }

  std::string Path(const std::string& path) const {
    return absl::StartsWith(path, "/") ? path : absl::StrCat(folder_, "/", path);
  }

  absl::Status ReadAuthorities(TlsOptions& tls) const {
    ASSIGN_OR_RETURN(const std::vector<std::string> paths, Strings("ca", table_.get("ca")));
    for (const std::string& path : paths) {
      ASSIGN_OR_RETURN(const std::string pem, ReadFile(Path(path), kMaxFile), where_, ": ca");
      absl::StrAppend(&tls.ca_pem, pem, "\n");
    }
    return absl::OkStatus();
  }

  // "file", ["file", ...] or [["cert", "key"], ...]; libcurl takes one pair, so the first.
  absl::Status ReadClient(TlsOptions& tls) const {
    const toml::node* node = table_.get("client");
    if (node == nullptr) return absl::OkStatus();
    const toml::array* array = node->as_array();
    if (array != nullptr && !array->empty()) node = array->get(0);
    ASSIGN_OR_RETURN(const std::vector<std::string> pair, Strings("client", node));
    if (pair.empty() || pair.size() > 2) return Error("client", "must be a file or pairs of certificate and key");
    tls.client_cert = Path(pair[0]);
    if (pair.size() == 2 && !pair[1].empty()) tls.client_key = Path(pair[1]);
    return absl::OkStatus();
  }

  absl::Status ReadHeaders(RegistryHost& host) const {
    const toml::node* node = table_.get("header");
    if (node == nullptr) return absl::OkStatus();
    const toml::table* headers = node->as_table();
    if (headers == nullptr) return Error("header", "must be a table");
    for (const auto& [name, value] : *headers) {
      ASSIGN_OR_RETURN(const std::vector<std::string> values, Strings("header", &value));
      if (HasLineBreak(name.str())) return Error("header", "line break in name");
      for (const std::string& one : values) {
        if (HasLineBreak(one)) return Error("header", "line break in value");
        host.headers.emplace_back(std::string(name.str()), one);
      }
    }
    return absl::OkStatus();
  }

  const toml::table& table_;
  const std::string folder_;
  const std::string where_;
};

// The [host."URL"] tables in the order of the file: toml++ sorts its tables by key.
absl::StatusOr<std::vector<std::pair<std::string, const toml::table*>>> Mirrors(const toml::table& root,
                                                                                const std::string& file) {
  std::vector<std::pair<std::string, const toml::table*>> mirrors;
  const toml::node* node = root.get("host");
  if (node == nullptr) return mirrors;
  if (!node->is_table()) return absl::InvalidArgumentError(absl::StrCat(file, ": host: must be tables [host.\"URL\"]"));
  for (const auto& [url, table] : *node->as_table()) {
    if (!table.is_table())
      return absl::InvalidArgumentError(absl::StrCat(file, ": host.\"", std::string(url.str()), "\": must be a table"));
    mirrors.emplace_back(std::string(url.str()), table.as_table());
  }
  std::sort(mirrors.begin(), mirrors.end(),
            [](const auto& a, const auto& b) { return a.second->source().begin < b.second->source().begin; });
  return mirrors;
}

// Keeps from toml++ what it does not stand.
absl::Status CheckText(absl::string_view text, const std::string& file) {
  if (std::count(text.begin(), text.end(), '.') > kMaxDots)
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": more than ", kMaxDots, " dots: such keys would nest too deep"));
  // Outside of strings and comments toml++ 3.3 takes some of these for white space by undefined behaviour.
  size_t number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(line), "#")) continue;
    if (!std::all_of(line.begin(), line.end(), [](char c) { return absl::ascii_isascii(c); }))
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": line ", number,
                       ": not ASCII: write such characters as \\uXXXX, and comments on lines of their own"));
  }
  return absl::OkStatus();
}

std::string DefaultServer(const std::string& domain) { return domain == "docker.io" ? "registry-1.docker.io" : domain; }

}  // namespace

absl::StatusOr<std::vector<RegistryHost>> LoadRegistryHosts(const std::string& certs_dir, const std::string& domain) {
  std::vector<RegistryHost> hosts;
  const std::string folder = FindFolder(certs_dir, domain);
  if (folder.empty()) {
    const toml::table nothing;
    ASSIGN_OR_RETURN(hosts.emplace_back(), HostReader(nothing, "", domain).Read(DefaultServer(domain), domain));
    return hosts;
  }
  const std::string file = absl::StrCat(folder, "/hosts.toml");
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxFile));
  RETURN_IF_ERROR(CheckText(text, file));
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": line ", error.source().begin.line, ": ", std::string(error.description())));
  }
  ASSIGN_OR_RETURN(const auto mirrors, Mirrors(root, file));
  for (const auto& [url, table] : mirrors) {
    ASSIGN_OR_RETURN(hosts.emplace_back(),
                     HostReader(*table, folder, absl::StrCat(file, ": host.\"", url, "\"")).Read(url, domain));
  }
  std::string server = DefaultServer(domain);
  if (const toml::node* node = root.get("server")) {
    if (!node->is_string()) return absl::InvalidArgumentError(absl::StrCat(file, ": server: must be a string"));
    server = node->as_string()->get();
  }
  ASSIGN_OR_RETURN(hosts.emplace_back(), HostReader(root, folder, file).Read(server, domain));
  return hosts;
}

}  // namespace podvisor
