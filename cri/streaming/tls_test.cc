// Certificates made by openssl for the test.
#include "cri/streaming/tls.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

using absl::StatusCode;

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    MakeCertificate("server", {"-nodes"});
    MakeCertificate("other", {"-nodes"});
    MakeCertificate("locked", {"-passout", "pass:secret"});
    std::ofstream(Path("text")) << "no certificate\n";
    std::ofstream(Path("empty"));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  void MakeCertificate(const std::string& name, const std::vector<std::string>& key_flags) {
    SpawnOptions options;
    options.argv = {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"};
    options.argv.insert(options.argv.end(), key_flags.begin(), key_flags.end());
    for (const std::string& word : {std::string("-subj"), "/CN=" + name, std::string("-keyout"), Path(name + ".key"),
                                    std::string("-out"), Path(name + ".crt")})
      options.argv.push_back(word);
    auto made = RunCommand(options, "", absl::Now() + absl::Minutes(1));
    ASSERT_OK(made);
    ASSERT_TRUE(made->exit.success()) << made->err;
  }

  absl::Status Check(const std::string& certificate, const std::string& key, const std::string& client_ca = "") {
    return CheckTlsFiles(
        {.certificate = Path(certificate), .key = Path(key), .client_ca = client_ca.empty() ? "" : Path(client_ca)});
  }

  const std::string folder_ = testing::TempDir() + "/streaming-tls";
};

TEST_F(TlsTest, WhatFitsTogetherIsTaken) {
  EXPECT_OK(CheckTlsFiles({}));
  EXPECT_EQ(*MakeTlsContext({}), nullptr);
  EXPECT_OK(Check("server.crt", "server.key"));
  EXPECT_OK(Check("server.crt", "server.key", "other.crt"));
}

TEST_F(TlsTest, MissingFilesAreNamed) {
  EXPECT_THAT(Check("nowhere", "server.key"), StatusIs(StatusCode::kNotFound, "streaming.tls_certificate"));
  EXPECT_THAT(Check("nowhere", "server.key"), StatusIs(StatusCode::kNotFound, Path("nowhere")));
  EXPECT_THAT(Check("server.crt", "nowhere"), StatusIs(StatusCode::kNotFound, "streaming.tls_key"));
  EXPECT_THAT(Check("server.crt", "server.key", "nowhere"), StatusIs(StatusCode::kNotFound, "streaming.tls_client_ca"));
}

TEST_F(TlsTest, WhatIsNoCertificateOrKeyIsNamed) {
  for (const char* file : {"text", "empty", "server.key"}) {
    EXPECT_THAT(Check(file, "server.key"), StatusIs(StatusCode::kInvalidArgument, "must be a certificate")) << file;
    EXPECT_THAT(Check("server.crt", "server.key", file),
                StatusIs(StatusCode::kInvalidArgument, "streaming.tls_client_ca: " + Path(file)))
        << file;
  }
  for (const char* file : {"text", "empty", "server.crt", "other.key", "locked.key"})
    EXPECT_THAT(Check("server.crt", file), StatusIs(StatusCode::kInvalidArgument, "streaming.tls_key: " + Path(file)))
        << file;
}

}  // namespace
}  // namespace podvisor::cri
