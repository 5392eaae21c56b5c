// Against Debian's docker-registry, with TLS too, filled by skopeo. Skipped where they are not installed.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/process.h"
#include "base/state_db.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/durable_file.h"
#include "storage/image_store.h"
#include "storage/testing/image_builder.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Minutes(2);

int FreePort() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;
  return ntohs(address.sin_port);
}

class DockerRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking images needs root";
    for (const char* program :
         {"/usr/bin/docker-registry", "/usr/bin/skopeo", "/usr/bin/openssl", "/usr/bin/mkfs.erofs"})
      if (::access(program, X_OK) != 0) GTEST_SKIP() << program << " is not installed";
    ASSERT_OK(RemoveTree(root_));
    ASSERT_OK(MakeFolders(root_));
    db_ = *StateDb::Open(":memory:");
    auto store = ImageStore::Create({.root = root_ + "/images", .registry_certs_dir = root_ + "/certs.d"}, *db_);
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  void TearDown() override {
    if (registry_.has_value()) {
      EXPECT_OK(registry_->Signal(SIGKILL));
      EXPECT_OK(registry_->Wait(absl::Now() + kPatience));
    }
    EXPECT_OK(RemoveTree(root_));
  }

  void Run(const std::vector<std::string>& argv) {
    SpawnOptions options;
    options.argv = argv;
    const auto result = RunCommand(options, "", absl::Now() + kPatience);
    ASSERT_OK(result);
    ASSERT_TRUE(result->exit.success()) << argv[0] << ": " << result->err;
  }

  void Start(const std::string& http_section) {
    port_ = FreePort();
    std::ofstream(root_ + "/config.yml") << "{version: 0.1, log: {level: error, accesslog: {disabled: true}}, storage: "
                                         << "{filesystem: {rootdirectory: " << root_ << "/registry}}, http: {addr: "
                                         << "'127.0.0.1:" << port_ << "'" << http_section << "}}";
    SpawnOptions options;
    options.argv = {"/usr/bin/docker-registry", "serve", root_ + "/config.yml"};
    auto process = Spawn(options);
    ASSERT_OK(process);
    registry_.emplace(*std::move(process));
    // It says nothing when it is ready: connecting is the only way to know.
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = {};
      address.sin_family = AF_INET;
      address.sin_port = htons(static_cast<uint16_t>(port_));
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return;
      absl::SleepFor(absl::Milliseconds(50));
    }
    FAIL() << "docker-registry does not answer";
  }

  void Push(const std::vector<std::string>& flags) {
    WriteLayout(BuildImage({.layers = {MakeTar({{.name = "file", .content = std::string(1 << 20, 'x')}})}}),
                root_ + "/layout", {{"org.opencontainers.image.ref.name", "v"}});
    std::vector<std::string> argv = {"/usr/bin/skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    argv.push_back(absl::StrCat("oci:", root_, "/layout:v"));
    argv.push_back(absl::StrCat("docker://127.0.0.1:", port_, "/app:v"));
    Run(argv);
  }

  const std::string root_ = testing::TempDir() + "/docker-registry";
  int port_ = 0;
  std::optional<Process> registry_;
  std::unique_ptr<StateDb> db_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(DockerRegistryTest, PlainHttpAndAsAMirror) {
  ASSERT_NO_FATAL_FAILURE(Start(""));
  ASSERT_NO_FATAL_FAILURE(Push({}));
  const std::string name = absl::StrCat("127.0.0.1:", port_, "/app:v");
  const auto id = store_->Pull(name, {});
  ASSERT_OK(id);
  EXPECT_THAT(store_->Find(name)->repo_tags, ElementsAre(name));
  ASSERT_OK(MakeFolders(root_ + "/certs.d/mirrored.example"));
  std::ofstream(root_ + "/certs.d/mirrored.example/hosts.toml")
      << "[host.\"http://127.0.0.1:" << port_ << "\"]\n  capabilities = [\"pull\", \"resolve\"]\n";
  EXPECT_EQ(*store_->Pull("mirrored.example/app:v", {}), *id);
  EXPECT_THAT(store_->Pull(absl::StrCat("127.0.0.1:", port_, "/app:missing"), {}), StatusIs(StatusCode::kNotFound));
}

TEST_F(DockerRegistryTest, Tls) {
  Run({"/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
       "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", root_ + "/key.pem", "-out", root_ + "/cert.pem"});
  ASSERT_NO_FATAL_FAILURE(Start(absl::StrCat(", tls: {certificate: ", root_, "/cert.pem, key: ", root_, "/key.pem}")));
  ASSERT_NO_FATAL_FAILURE(Push({}));
  const std::string folder = root_ + "/certs.d/secure.example";
  ASSERT_OK(MakeFolders(folder));
  const std::string host = absl::StrCat("server = \"https://127.0.0.1:", port_, "\"\n");
  std::ofstream(folder + "/hosts.toml") << host;
  EXPECT_THAT(store_->Pull("secure.example/app:v", {}), StatusIs(StatusCode::kUnavailable, "certificate"));
  std::ofstream(folder + "/hosts.toml") << host << "ca = \"" << root_ << "/cert.pem\"\n";
  EXPECT_OK(store_->Pull("secure.example/app:v", {}));
  std::ofstream(folder + "/hosts.toml") << host << "skip_verify = true\n";
  EXPECT_OK(store_->Pull("secure.example/app:v", {}));
}

}  // namespace
}  // namespace podvisor
