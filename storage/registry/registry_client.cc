#include "storage/registry/registry_client.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "storage/registry/registry_error.h"

namespace podvisor {
namespace {

constexpr size_t kMaxManifest = 4 << 20;
constexpr int kMaxAttempts = 4;        // of a request that brought nothing new
constexpr int kMaxBlobTransfers = 50;  // of one blob, however much each brought
constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(10);

constexpr char kManifestTypes[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1, */*;q=0.1";

// No other host can do better: the request itself has ended, or our own disk is full.
bool IsFinal(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsCancelled(status) || absl::IsResourceExhausted(status);
}

// Before the next attempt, counted from 1: what the registry asked for, else longer each time.
absl::Duration PauseBefore(int attempt, absl::Duration retry_after) {
  const absl::Duration pause = kFirstPause * (1 << std::min(attempt - 1, 6));
  return std::min(retry_after == absl::InfiniteDuration() ? pause : retry_after, kLongestPause);
}

}  // namespace

absl::Status RegistryClient::ForEachHost(Need need, const std::string& what,
                                         const std::function<absl::Status(const RegistryHost&)>& attempt) {
  std::vector<std::string> failures;
  absl::Status last =
      absl::NotFoundError("no host of the registry may be asked for it: see capabilities in hosts.toml");
  for (const RegistryHost& host : options_.hosts) {
    if (need == Need::kResolve ? !host.can_resolve : !host.can_pull) continue;
    absl::Status status = attempt(host);
    if (status.ok() || IsFinal(status)) return Prefix(status, what);
    if (failures.empty())
      last = status;
    else
      last =
          absl::Status(status.code(), absl::StrCat(status.message(), " (before: ", absl::StrJoin(failures, "; "), ")"));
    failures.emplace_back(status.message());
  }
  return Prefix(last, what);
}

absl::StatusOr<std::string> RegistryClient::Authorize(HttpClient& http, const RegistryHost& host,
                                                      const HttpResponse& refused, const Interruption& interruption) {
  ASSIGN_OR_RETURN(const Credentials credentials, FindCredentials(options_.auth, options_.docker_config, host.host));
  bool basic = false;
  const auto [first, last] = refused.headers.equal_range("www-authenticate");
  for (auto header = first; header != last; ++header) {
    for (const AuthChallenge& challenge : ParseAuthChallenges(header->second)) {
      if (challenge.scheme == "bearer") {
        if (!credentials.registry_token.empty()) return absl::StrCat("Bearer ", credentials.registry_token);
        return FetchToken(http, host, challenge.parameters, credentials, interruption);
      }
      basic |= challenge.scheme == "basic";
    }
  }
  if (basic && !credentials.username.empty()) return BasicAuthorization(credentials);
  return ErrorOf(refused, basic ? "no credentials for this host" : "no way to authenticate that podvisor knows");
}

absl::StatusOr<std::string> RegistryClient::FetchToken(HttpClient& http, const RegistryHost& host,
                                                       const std::map<std::string, std::string>& challenge,
                                                       const Credentials& credentials,
                                                       const Interruption& interruption) {
  const auto parameter = [&](const char* name) {
    const auto found = challenge.find(name);
    return found == challenge.end() ? std::string() : found->second;
  };
  const std::string realm = parameter("realm");
  if (UrlOrigin(realm).empty()) return absl::UnauthenticatedError("token server is not an http or https URL");
  if (absl::StartsWith(host.base_url, "https:") && absl::StartsWith(UrlOrigin(realm), "http:") && !credentials.empty())
    return absl::UnauthenticatedError(absl::StrCat("credentials are not sent to unprotected token server ", realm));
  std::string scope = parameter("scope");
  if (scope.empty()) scope = absl::StrCat("repository:", options_.repository, ":pull");
  const std::string query = absl::StrCat("service=", UrlEscape(parameter("service")), "&scope=", UrlEscape(scope));

  HttpRequest request;
  request.tls = host.tls;
  if (UrlOrigin(realm) != UrlOrigin(host.base_url)) request.tls.client_cert = request.tls.client_key = "";
  if (credentials.identity_token.empty()) {
    request.url = absl::StrCat(realm, absl::StrContains(realm, '?') ? "&" : "?", query);
    if (!credentials.username.empty()) request.authorization = BasicAuthorization(credentials);
  } else {
    request.method = HttpRequest::Method::kPost;
    request.url = realm;
    request.body = absl::StrCat("grant_type=refresh_token&client_id=podvisor&", query,
                                "&refresh_token=", UrlEscape(credentials.identity_token));
  }
  std::string body;
  const HttpSink sink = [&](const HttpResponse&, absl::string_view data) -> absl::Status {
    if (body.size() + data.size() > kMaxToken) return absl::UnauthenticatedError("token of more than 1 MiB");
    absl::StrAppend(&body, data);
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(const HttpResponse response, http.Perform(request, sink, interruption), "token server");
  if (response.status != 200) return Prefix(ErrorOf(response, ""), "token server");
  ASSIGN_OR_RETURN(const std::string token, TokenOf(body), "token server ", realm);
  return absl::StrCat("Bearer ", token);
}

absl::StatusOr<HttpResponse> RegistryClient::GetAuthorized(HttpClient& http, const RegistryHost& host,
                                                           HttpRequest request, const HttpSink& sink,
                                                           const Interruption& interruption) {
  {
    absl::MutexLock lock(&mu_);
    request.authorization = authorization_[host.base_url];
  }
  ASSIGN_OR_RETURN(HttpResponse response, http.Perform(request, sink, interruption));
  // A 401 of another host, after a redirect, is none that our credentials for this one could answer.
  if (response.status != 401 || UrlOrigin(response.url) != UrlOrigin(host.base_url)) return response;
  ASSIGN_OR_RETURN(request.authorization, Authorize(http, host, response, interruption));
  {
    absl::MutexLock lock(&mu_);
    authorization_[host.base_url] = request.authorization;
  }
  return http.Perform(request, sink, interruption);
}

absl::StatusOr<HttpResponse> RegistryClient::Get(HttpClient& http, const RegistryHost& host, const std::string& path,
                                                 const std::string& accept, const std::string& range,
                                                 const HttpSink& sink, const Interruption& interruption,
                                                 absl::Duration& retry_after) {
  HttpRequest request;
  request.url = absl::StrCat(host.base_url, "/", options_.repository, path);
  if (!host.namespace_argument.empty()) absl::StrAppend(&request.url, "?ns=", UrlEscape(host.namespace_argument));
  request.headers = host.headers;
  if (!accept.empty()) request.headers.emplace_back("Accept", accept);
  request.tls = host.tls;
  request.range = range;
  ASSIGN_OR_RETURN(HttpResponse response, GetAuthorized(http, host, request, sink, interruption));
  if (response.status >= 200 && response.status <= 299) return response;
  int seconds = 0;
  if (absl::SimpleAtoi(response.Header("retry-after"), &seconds) && seconds >= 0) retry_after = absl::Seconds(seconds);
  return ErrorOf(response, "");
}

absl::StatusOr<FetchedManifest> RegistryClient::FetchManifest(HttpClient& http, const std::string& tag_or_digest,
                                                              const Interruption& interruption) {
  const absl::StatusOr<Digest> wanted = Digest::Parse(tag_or_digest);
  FetchedManifest manifest;
  RETURN_IF_ERROR(ForEachHost(
      wanted.ok() ? Need::kPull : Need::kResolve, absl::StrCat("manifest ", options_.repository, " ", tag_or_digest),
      [&](const RegistryHost& host) -> absl::Status {
        absl::StatusOr<HttpResponse> response;
        const HttpSink sink = [&](const HttpResponse&, absl::string_view data) -> absl::Status {
          if (manifest.content.size() + data.size() > kMaxManifest)
            return absl::DataLossError("the manifest has more than 4 MiB");
          absl::StrAppend(&manifest.content, data);
          return absl::OkStatus();
        };
        for (int attempt = 1;; ++attempt) {
          manifest.content.clear();
          absl::Duration retry_after = absl::InfiniteDuration();
          response = Get(http, host, absl::StrCat("/manifests/", tag_or_digest), kManifestTypes, "", sink, interruption,
                         retry_after);
          if (!absl::IsUnavailable(response.status()) || attempt == kMaxAttempts) break;
          RETURN_IF_ERROR(interruption.Pause(PauseBefore(attempt, retry_after)), host.base_url);
        }
        RETURN_IF_ERROR(response.status());
        manifest.digest = Digest::Of(manifest.content);
        manifest.media_type = response->Header("content-type");
        const absl::StatusOr<Digest> announced = Digest::Parse(response->Header("docker-content-digest"));
        if ((wanted.ok() && *wanted != manifest.digest) || (announced.ok() && *announced != manifest.digest))
          return absl::DataLossError(absl::StrCat(response->url, ": wrong digest: the content is ",
                                                  manifest.digest.ToString(), ", not ",
                                                  wanted.ok() ? tag_or_digest : announced->ToString()));
        return absl::OkStatus();
      }));
  return manifest;
}

absl::Status RegistryClient::FetchBlob(HttpClient& http, const Digest& digest, BlobWriter& writer,
                                       const std::function<void(int64_t)>& on_bytes, const Interruption& interruption) {
  return ForEachHost(Need::kPull, absl::StrCat("blob ", digest.ToString()), [&](const RegistryHost& host) {
    return FetchBlobFrom(http, host, digest, writer, on_bytes, interruption);
  });
}

absl::Status RegistryClient::FetchBlobFrom(HttpClient& http, const RegistryHost& host, const Digest& digest,
                                           BlobWriter& writer, const std::function<void(int64_t)>& on_bytes,
                                           const Interruption& interruption) {
  const auto restart = [&]() -> absl::Status {
    on_bytes(-static_cast<int64_t>(writer.written()));
    return writer.Restart();
  };
  RETURN_IF_ERROR(restart());
  int fruitless = 0;
  for (int transfer = 1;; ++transfer) {
    const uint64_t before = writer.written();
    bool first = true;
    const HttpSink sink = [&](const HttpResponse& head, absl::string_view data) -> absl::Status {
      if (first) {
        first = false;
        const bool resumed = head.status == 206 && absl::StartsWith(head.Header("content-range"),
                                                                    absl::StrCat("bytes ", writer.written(), "-"));
        // A server that ignores the range sends everything again.
        if (writer.written() > 0 && !resumed) RETURN_IF_ERROR(restart());
      }
      RETURN_IF_ERROR(writer.Write(data));
      on_bytes(static_cast<int64_t>(data.size()));
      return absl::OkStatus();
    };
    const std::string range = before == 0 ? "" : absl::StrCat("bytes=", before, "-");
    absl::Duration retry_after = absl::InfiniteDuration();
    const absl::StatusOr<HttpResponse> response =
        Get(http, host, absl::StrCat("/blobs/", digest.ToString()), "", range, sink, interruption, retry_after);
    if (response.ok()) return writer.Commit();
    if (!absl::IsUnavailable(response.status())) return response.status();
    fruitless = writer.written() > before ? 0 : fruitless + 1;
    if (fruitless == kMaxAttempts || transfer >= kMaxBlobTransfers)
      return writer.written() == 0 ? response.status()
                                   : absl::DataLossError(absl::StrCat("truncated: ", writer.written(),
                                                                      " bytes came: ", response.status().message()));
    RETURN_IF_ERROR(interruption.Pause(PauseBefore(fruitless + 1, retry_after)), host.base_url);
    if (fruitless == 2) RETURN_IF_ERROR(restart());  // perhaps it is resuming that this host can't do
  }
}

}  // namespace podvisor
