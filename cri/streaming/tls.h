// The streaming server's certificate, and whose certificates it wants of its clients.
#ifndef PODVISOR_CRI_STREAMING_TLS_H_
#define PODVISOR_CRI_STREAMING_TLS_H_

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace podvisor::cri {

// PEM files. Without a certificate there is no TLS; with a CA, only clients that it has signed are served.
struct TlsFiles {
  std::string certificate, key, client_ca;
};

// Null without a certificate. TLS 1.2 and 1.3. Otherwise the error begins with the key of the configuration and the
// file, both of which a user can change: kInvalidArgument for what is no certificate or key, or a key that is another
// certificate's; the code of open(2) or read(2) for a file that can't be read.
absl::StatusOr<std::unique_ptr<boost::asio::ssl::context>> MakeTlsContext(const TlsFiles& files);

// What MakeTlsContext() would say.
absl::Status CheckTlsFiles(const TlsFiles& files);

}  // namespace podvisor::cri

#endif  // PODVISOR_CRI_STREAMING_TLS_H_
