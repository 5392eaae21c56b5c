// HTTP(S) requests that can be given up at any time.
#ifndef PODVISOR_STORAGE_REGISTRY_HTTP_CLIENT_H_
#define PODVISOR_STORAGE_REGISTRY_HTTP_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/interruption.h"

namespace podvisor {

// How to trust and be trusted. Without anything: the system's certificate authorities.
struct TlsOptions {
  enum class Verify { kYes, kSkip };
  Verify verify = Verify::kYes;
  std::string ca_pem;       // more authorities, as PEM text
  std::string client_cert;  // path of a PEM file, or empty
  std::string client_key;   // path; empty: in client_cert
};

struct HttpRequest {
  enum class Method { kGet, kPost };
  Method method = Method::kGet;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  // dropped when a redirect leaves the host
  std::string authorization;                                 // likewise: value of that header, or empty
  std::string range;                                         // "bytes=100-", or empty; kept over redirects
  std::string body;                                          // of a POST, as a form
  TlsOptions tls;
};

// What came before the body, and the body if it was no success.
struct HttpResponse {
  int status = 0;
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;                                 // of a response other than 2xx: at most its first 64 KiB
  std::string url;                                  // after redirects

  // The first value, or empty.
  std::string Header(const std::string& name) const;
};

// Gets the body of a 2xx response piece by piece. An error ends the transfer and is returned as it is.
using HttpSink = std::function<absl::Status(const HttpResponse& head, absl::string_view data)>;

// Keeps connections for the next request. Not thread-safe: one per thread.
class HttpClient {
 public:
  // A transfer without a byte for `stall_timeout` is given up.
  explicit HttpClient(absl::Duration stall_timeout);
  ~HttpClient();

  // Follows up to ten redirects; from https to http none. Any status is a success here. Errors: kUnavailable for what
  // keeps bytes from coming (name, connection, TLS, broken transfer), kAborted for a stall (not worth a retry), those
  // of `interruption`, noticed within tens of milliseconds, and those of the sink.
  absl::StatusOr<HttpResponse> Perform(const HttpRequest& request, const HttpSink& sink,
                                       const Interruption& interruption);

 private:
  struct Transfer;
  struct Handles;
  absl::StatusOr<HttpResponse> PerformOne(const HttpRequest& request, const HttpSink& sink,
                                          const Interruption& interruption);
  absl::Status Drive(Transfer& transfer, const Interruption& interruption);

  const absl::Duration stall_timeout_;
  std::unique_ptr<Handles> handles_;
};

// `scheme`://`host`[:`port`] of a URL in lower case, port always present; empty if it is not http or https. What two
// URLs must share for credentials to go to both.
std::string UrlOrigin(const std::string& url);

// Percent-encodes everything but unreserved characters.
std::string UrlEscape(absl::string_view text);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_HTTP_CLIENT_H_
