#include "storage/registry/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr size_t kMaxErrorBody = 64 << 10;
constexpr int kMaxRedirects = 10;
constexpr absl::Duration kConnectTimeout = absl::Seconds(30);

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string Part(const Url& url, CURLUPart part, unsigned int flags) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return "";
  std::string result = text;
  curl_free(text);
  return result;
}

// `location` as seen from `base`; empty if it makes no sense.
std::string ResolveUrl(const std::string& base, const std::string& location) {
  Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK) return "";
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK) return "";
  return Part(url, CURLUPART_URL, 0);
}

bool IsLoopback(const std::string& url) {
  Url parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return false;
  const std::string host = absl::AsciiStrToLower(Part(parsed, CURLUPART_HOST, 0));
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

void SetTls(CURL* easy, const TlsOptions& tls) {
  if (tls.verify == TlsOptions::Verify::kSkip) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!tls.ca_pem.empty()) {
    // Replaces the system's bundle; its folder of certificates (CURLOPT_CAPATH's default) still counts.
    curl_blob blob{const_cast<char*>(tls.ca_pem.data()), tls.ca_pem.size(), CURL_BLOB_COPY};
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!tls.client_cert.empty()) curl_easy_setopt(easy, CURLOPT_SSLCERT, tls.client_cert.c_str());
  if (!tls.client_key.empty()) curl_easy_setopt(easy, CURLOPT_SSLKEY, tls.client_key.c_str());
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::string UrlOrigin(const std::string& url) {
  Url parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  const std::string scheme = absl::AsciiStrToLower(Part(parsed, CURLUPART_SCHEME, 0));
  if (scheme != "http" && scheme != "https") return "";
  return absl::StrCat(scheme, "://", absl::AsciiStrToLower(Part(parsed, CURLUPART_HOST, 0)), ":",
                      Part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string UrlEscape(absl::string_view text) {
  std::string result;
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
      result += c;
    else
      absl::StrAppend(&result, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  }
  return result;
}

std::string HttpResponse::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

struct HttpClient::Handles {
  Handles() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    multi = curl_multi_init();
    easy = curl_easy_init();
  }
  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  CURLM* multi;
  CURL* easy;
};

// One exchange: what libcurl's callbacks fill in.
struct HttpClient::Transfer {
  const HttpSink* sink = nullptr;
  HttpResponse response;
  size_t header_bytes = 0;
  absl::Status sink_status;
  absl::Time last_byte = absl::Now();
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = "";

  ~Transfer() { curl_slist_free_all(headers); }

  static size_t OnHeader(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->Header(absl::string_view(data, size * count)) ? size * count : 0;
  }
  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->Body(absl::string_view(data, size * count)) ? size * count : 0;
  }

  bool Header(absl::string_view line) {
    last_byte = absl::Now();
    header_bytes += line.size();
    if (header_bytes > kMaxHeaderBytes) {
      sink_status = absl::DataLossError(absl::StrCat("more than ", kMaxHeaderBytes, " bytes of HTTP headers"));
      return false;
    }
    if (absl::StartsWithIgnoreCase(line, "HTTP/")) {  // of the final response, after any 100 Continue
      response.headers.clear();
      const size_t space = line.find(' ');
      if (space == absl::string_view::npos || !absl::SimpleAtoi(line.substr(space + 1, 3), &response.status))
        response.status = 0;
      return true;
    }
    const size_t colon = line.find(':');
    if (colon != absl::string_view::npos)
      response.headers.emplace(absl::AsciiStrToLower(line.substr(0, colon)),
                               std::string(absl::StripAsciiWhitespace(line.substr(colon + 1))));
    return true;
  }

  bool Body(absl::string_view data) {
    last_byte = absl::Now();
    if (response.status < 200 || response.status > 299) {
      absl::StrAppend(&response.body, data.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, response.body.size())));
      return true;
    }
    sink_status = (*sink)(response, data);
    return sink_status.ok();
  }
};

HttpClient::HttpClient(absl::Duration stall_timeout)
    : stall_timeout_(stall_timeout), handles_(std::make_unique<Handles>()) {}
HttpClient::~HttpClient() = default;

absl::Status HttpClient::Drive(Transfer& transfer, const Interruption& interruption) {
  const int poll_ms = static_cast<int>(absl::ToInt64Milliseconds(kInterruptionGranularity));
  for (;;) {
    int running = 0;
    if (const CURLMcode code = curl_multi_perform(handles_->multi, &running); code != CURLM_OK)
      return absl::InternalError(absl::StrCat("libcurl: ", curl_multi_strerror(code)));
    if (!transfer.sink_status.ok()) return transfer.sink_status;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(handles_->multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      if (code == CURLE_OK) return absl::OkStatus();
      return absl::UnavailableError(transfer.error[0] != 0 ? transfer.error : curl_easy_strerror(code));
    }
    RETURN_IF_ERROR(interruption.Check());
    if (absl::Now() - transfer.last_byte > stall_timeout_)
      return absl::AbortedError(absl::StrCat("stalled: no byte for ", absl::FormatDuration(stall_timeout_)));
    curl_multi_poll(handles_->multi, nullptr, 0, poll_ms, nullptr);
  }
}

absl::StatusOr<HttpResponse> HttpClient::PerformOne(const HttpRequest& request, const HttpSink& sink,
                                                    const Interruption& interruption) {
  RETURN_IF_ERROR(interruption.Check());
  CURL* easy = handles_->easy;
  curl_easy_reset(easy);
  Transfer transfer;
  transfer.sink = &sink;
  const auto add_header = [&](const std::string& line) {
    transfer.headers = curl_slist_append(transfer.headers, line.c_str());
  };
  for (const auto& [name, value] : request.headers) add_header(absl::StrCat(name, ": ", value));
  if (!request.authorization.empty()) add_header(absl::StrCat("Authorization: ", request.authorization));
  if (!request.range.empty()) add_header(absl::StrCat("Range: ", request.range));

  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "podvisor");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a resolver thread when giving up
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(std::min(kConnectTimeout, stall_timeout_))));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  if (IsLoopback(request.url)) curl_easy_setopt(easy, CURLOPT_PROXY, "");  // no proxy reaches our own loopback
  if (request.method == HttpRequest::Method::kPost) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  SetTls(easy, request.tls);
  curl_multi_add_handle(handles_->multi, easy);
  absl::Status status = Drive(transfer, interruption);
  curl_multi_remove_handle(handles_->multi, easy);
  RETURN_IF_ERROR(status, request.url);
  transfer.response.url = request.url;
  return std::move(transfer.response);
}

absl::StatusOr<HttpResponse> HttpClient::Perform(const HttpRequest& request, const HttpSink& sink,
                                                 const Interruption& interruption) {
  HttpRequest current = request;
  for (int redirects = 0;; ++redirects) {
    ASSIGN_OR_RETURN(HttpResponse response, PerformOne(current, sink, interruption));
    const std::string location = response.Header("location");
    if (!IsRedirect(response.status) || location.empty()) return response;
    if (redirects == kMaxRedirects)
      return absl::UnavailableError(absl::StrCat(request.url, ": more than ", kMaxRedirects, " redirects"));
    const std::string next = ResolveUrl(current.url, location);
    const std::string from = UrlOrigin(current.url);
    const std::string to = UrlOrigin(next);
    if (to.empty())
      return absl::UnavailableError(absl::StrCat(request.url, ": redirected to something that is not http or https"));
    if (absl::StartsWith(from, "https:") && absl::StartsWith(to, "http:"))
      return absl::UnavailableError(absl::StrCat(request.url, ": redirected from https to unprotected ", to));
    if (from != to) {  // what identifies us to one host is none of the other's business
      current.authorization.clear();
      current.headers.clear();
      current.tls.client_cert.clear();
      current.tls.client_key.clear();
    }
    if (response.status == 303) {
      current.method = HttpRequest::Method::kGet;
      current.body.clear();
    }
    current.url = next;
  }
}

}  // namespace podvisor
