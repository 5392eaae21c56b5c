// The streaming server with TLS: with a certificate that the test makes itself.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/event_loop.h"
#include "base/status_matchers.h"
#include "cri/streaming/streaming_server.h"
#include "cri/testing/fake_pod_manager.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

namespace ssl = boost::asio::ssl;

// A self-signed certificate and its key, as files.
void MakeCertificate(const std::string& certificate_file, const std::string& key_file) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* file = std::fopen(certificate_file.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(key_file.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() : certificate_(testing::TempDir() + "/tls.crt"), key_(testing::TempDir() + "/tls.key") {
    MakeCertificate(certificate_, key_);
  }
  ~TlsTest() override {
    std::remove(certificate_.c_str());
    std::remove(key_.c_str());
  }

  void Start(StreamingOptions options) {
    options.tls_certificate = certificate_;
    options.tls_key = key_;
    auto server = StreamingServer::Start(loop_, pods_, options);
    ASSERT_OK(server);
    server_ = *std::move(server);
  }

  // The first line of the answer to a request for no known path, empty if there is none.
  std::string Ask(ssl::context& tls) {
    const auto url = server_->MakeUrl({.kind = StreamKind::kExec, .id = "c"});
    if (!url.ok()) return "";
    const std::vector<std::string> words = absl::StrSplit(*url, '/');
    const std::vector<std::string> address = absl::StrSplit(words.at(2), ':');
    EXPECT_EQ(words.at(0), "https:");
    boost::asio::io_context context;
    ssl::stream<boost::asio::ip::tcp::socket> stream(context, tls);
    boost::system::error_code error;
    stream.next_layer().connect(
        {boost::asio::ip::make_address(address.at(0)), static_cast<uint16_t>(std::stoi(address.at(1)))}, error);
    stream.handshake(ssl::stream_base::client, error);
    if (!error)
      boost::asio::write(stream, boost::asio::buffer(std::string("GET /no HTTP/1.1\r\nHost: x\r\n\r\n")), error);
    std::string line(12, '\0');
    if (!error) boost::asio::read(stream, boost::asio::buffer(line), error);
    return error ? "" : line;
  }

  const std::string certificate_, key_;
  EventLoop loop_{"tls_test"};
  FakePodManager pods_;
  std::unique_ptr<StreamingServer> server_;
};

TEST_F(TlsTest, ServesHttps) {
  Start({});
  ssl::context client(ssl::context::tls_client);
  EXPECT_EQ(Ask(client), "HTTP/1.1 404");
}

TEST_F(TlsTest, WantsTheClientsCertificateWhereACaIsGiven) {
  Start({.tls_client_ca = certificate_});
  ssl::context stranger(ssl::context::tls_client);
  EXPECT_EQ(Ask(stranger), "");
  ssl::context known(ssl::context::tls_client);
  known.use_certificate_chain_file(certificate_);
  known.use_private_key_file(key_, ssl::context::pem);
  EXPECT_EQ(Ask(known), "HTTP/1.1 404");
}

TEST_F(TlsTest, AKeyOfAnotherCertificateIsRefused) {
  const std::string other = testing::TempDir() + "/other.key", unused = testing::TempDir() + "/other.crt";
  MakeCertificate(unused, other);
  EXPECT_THAT(StreamingServer::Start(loop_, pods_, {.tls_certificate = certificate_, .tls_key = other}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "tls_key"));
  std::remove(other.c_str());
  std::remove(unused.c_str());
}

}  // namespace
}  // namespace podvisor::cri
