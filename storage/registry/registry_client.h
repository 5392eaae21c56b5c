// Manifests and blobs of one repository, from the hosts that serve it (OCI distribution specification).
#ifndef PODVISOR_STORAGE_REGISTRY_REGISTRY_CLIENT_H_
#define PODVISOR_STORAGE_REGISTRY_REGISTRY_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/content/content_store.h"
#include "storage/content/digest.h"
#include "storage/interruption.h"
#include "storage/registry/credentials.h"
#include "storage/registry/http_client.h"
#include "storage/registry/registry_hosts.h"

namespace podvisor {

struct FetchedManifest {
  std::string content;  // as sent: what the digest is of
  std::string media_type;
  Digest digest;
};

// Serves one pull. Thread-safe: layers are fetched by several threads, each with its own HttpClient, sharing tokens.
//
// Each host is tried in turn; what failed at all of them is the status of the last (the registry itself) with the
// others' in its message. Errors: as ImageStore. kDeadlineExceeded, kCancelled and kResourceExhausted end it at once.
class RegistryClient {
 public:
  struct Options {
    std::vector<RegistryHost> hosts;
    std::string repository;  // "library/busybox"
    RegistryAuth auth;
    std::string docker_config;
  };
  explicit RegistryClient(Options options) : options_(std::move(options)) {}

  // By tag or digest ("sha256:..."); at most 4 MiB. A digest is verified.
  absl::StatusOr<FetchedManifest> FetchManifest(HttpClient& http, const std::string& tag_or_digest,
                                                const Interruption& interruption);

  // Into `writer`, resumed where a connection broke, and committed. `on_bytes` gets what comes in, and what has to be
  // taken back when a host starts anew.
  absl::Status FetchBlob(HttpClient& http, const Digest& digest, BlobWriter& writer,
                         const std::function<void(int64_t)>& on_bytes, const Interruption& interruption);

 private:
  enum class Need { kResolve, kPull };
  absl::Status ForEachHost(Need need, const std::string& what,
                           const std::function<absl::Status(const RegistryHost&)>& attempt);
  // One request with authorization; kUnavailable is worth another. `retry_after` is set if the host says when.
  absl::StatusOr<HttpResponse> Get(HttpClient& http, const RegistryHost& host, const std::string& path,
                                   const std::string& accept, const std::string& range, const HttpSink& sink,
                                   const Interruption& interruption, absl::Duration& retry_after);
  absl::StatusOr<HttpResponse> GetAuthorized(HttpClient& http, const RegistryHost& host, HttpRequest request,
                                             const HttpSink& sink, const Interruption& interruption);
  // The value of the Authorization header that answers a 401.
  absl::StatusOr<std::string> Authorize(HttpClient& http, const RegistryHost& host, const HttpResponse& refused,
                                        const Interruption& interruption);
  absl::StatusOr<std::string> FetchToken(HttpClient& http, const RegistryHost& host,
                                         const std::map<std::string, std::string>& challenge,
                                         const Credentials& credentials, const Interruption& interruption);
  absl::Status FetchBlobFrom(HttpClient& http, const RegistryHost& host, const Digest& digest, BlobWriter& writer,
                             const std::function<void(int64_t)>& on_bytes, const Interruption& interruption);

  const Options options_;
  absl::Mutex mu_;
  // base_url of a host: its Authorization header.
  std::map<std::string, std::string> authorization_ ABSL_GUARDED_BY(mu_);
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_REGISTRY_CLIENT_H_
