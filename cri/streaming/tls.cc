#include "cri/streaming/tls.h"

#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor::cri {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr size_t kMaxPemBytes = 1 << 20;

// `take` gives the file's content to the context. What is wrong with it is said in OpenSSL's words, too.
template <typename Take>
absl::Status Load(const std::string& key, const std::string& file, const char* expected, Take take) {
  const std::string where = absl::StrCat("streaming.", key, ": ", file);
  absl::StatusOr<std::string> pem = ReadFile(file, kMaxPemBytes);
  if (!pem.ok()) return Prefix(pem.status(), absl::StrCat("streaming.", key));
  // OpenSSL takes an empty list of authorities for one, and then nobody would be let in.
  if (!absl::StrContains(*pem, "-----BEGIN "))
    return absl::InvalidArgumentError(absl::StrCat(where, ": must be ", expected, ": it holds nothing in PEM"));
  error_code error;
  take(boost::asio::buffer(*pem), error);
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, ": must be ", expected, ": ", error.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ssl::context>> MakeTlsContext(const TlsFiles& files) {
  if (files.certificate.empty() && files.key.empty() && files.client_ca.empty()) return std::unique_ptr<ssl::context>();
  if (files.certificate.empty() || files.key.empty())
    return absl::InvalidArgumentError("streaming.tls_certificate and streaming.tls_key: both or none");
  auto tls = std::make_unique<ssl::context>(ssl::context::tls_server);
  tls->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  // Else OpenSSL would ask for it at the terminal of whoever starts the daemon.
  tls->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); });
  RETURN_IF_ERROR(Load("tls_certificate", files.certificate, "a certificate, or a chain of them, in PEM",
                       [&](auto pem, error_code& error) { tls->use_certificate_chain(pem, error); }));
  RETURN_IF_ERROR(Load("tls_key", files.key,
                       absl::StrCat("the private key of ", files.certificate, " in PEM, without a passphrase").c_str(),
                       [&](auto pem, error_code& error) { tls->use_private_key(pem, ssl::context::pem, error); }));
  if (files.client_ca.empty()) return tls;
  RETURN_IF_ERROR(Load("tls_client_ca", files.client_ca, "certificates in PEM",
                       [&](auto pem, error_code& error) { tls->add_certificate_authority(pem, error); }));
  tls->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  return tls;
}

absl::Status CheckTlsFiles(const TlsFiles& files) { return MakeTlsContext(files).status(); }

}  // namespace podvisor::cri
