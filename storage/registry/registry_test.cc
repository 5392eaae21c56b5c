#include <sys/stat.h>

#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/durable_file.h"
#include "storage/registry/auth_challenge.h"
#include "storage/registry/credentials.h"
#include "storage/registry/fake_registry.h"
#include "storage/registry/registry_client.h"
#include "storage/registry/registry_hosts.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;
using Kind = FakeRegistry::Fault::Kind;

TEST(AuthChallengeTest, Reads) {
  const auto two = ParseAuthChallenges(
      "Basic realm=\"a \\\"quoted\\\" realm\", Bearer "
      "realm=\"https://t/token\",service=s,scope=\"repository:x:pull,push\"");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].scheme, "basic");
  EXPECT_THAT(two[0].parameters, ElementsAre(Pair("realm", "a \"quoted\" realm")));
  EXPECT_EQ(two[1].scheme, "bearer");
  EXPECT_THAT(two[1].parameters, UnorderedElementsAre(Pair("realm", "https://t/token"), Pair("service", "s"),
                                                      Pair("scope", "repository:x:pull,push")));
  for (const char* odd : {"", ",", "=", "Bearer realm=\"open", "\"\"", "a=b", "Bearer ,,= ="}) ParseAuthChallenges(odd);
}

TEST(CredentialsTest, WhoGetsWhat) {
  const std::string file = testing::TempDir() + "/docker-config.json";
  const std::string encoded = absl::Base64Escape("file-user:file:secret");
  std::ofstream(file) << R"({"auths":{"https://index.docker.io/v1/":{"auth":")" << encoded
                      << R"("},"other:5000":{"identitytoken":"refresh"},"bad":{"auth":"!"}},"credsStore":"ignored"})";
  const struct {
    RegistryAuth auth;
    const char* host;
    const char* user;
    const char* password;
    const char* identity;
  } cases[] = {
      {{}, "registry-1.docker.io", "file-user", "file:secret", ""},
      {{}, "other:5000", "", "", "refresh"},
      {{}, "other:5001", "", "", ""},
      {{.username = "u", .password = "p"}, "any", "u", "p", ""},
      {{.username = "u", .password = "p", .server_address = "https://any/v2/"}, "any", "u", "p", ""},
      {{.username = "u", .password = "p", .server_address = "any"}, "registry-1.docker.io", "", "", ""},
      {{.username = "u", .password = "p", .server_address = "docker.io"}, "registry-1.docker.io", "u", "p", ""},
      {{.auth = absl::Base64Escape("a:b")}, "any", "a", "b", ""},
      {{.identity_token = "i"}, "any", "", "", "i"},
  };
  for (const auto& c : cases) {
    const auto found = FindCredentials(c.auth, file, c.host);
    ASSERT_OK(found);
    EXPECT_EQ(found->username, c.user) << c.host;
    EXPECT_EQ(found->password, c.password);
    EXPECT_EQ(found->identity_token, c.identity);
  }
  EXPECT_THAT(FindCredentials({.auth = "not base64!"}, "", "h"), StatusIs(StatusCode::kInvalidArgument, "base64"));
  EXPECT_THAT(FindCredentials({}, file, "bad"), StatusIs(StatusCode::kInvalidArgument, file));
  EXPECT_OK(FindCredentials({}, file + ".missing", "h"));
  std::ofstream(file) << "[";
  EXPECT_THAT(FindCredentials({}, file, "h"), StatusIs(StatusCode::kInvalidArgument, "JSON"));
}

class HostsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(RemoveTree(dir_)); }
  void TearDown() override { EXPECT_OK(RemoveTree(dir_)); }
  void Write(const std::string& folder, const std::string& text) {
    ASSERT_OK(MakeFolders(dir_ + "/" + folder));
    std::ofstream(dir_ + "/" + folder + "/hosts.toml") << text;
  }
  const std::string dir_ = testing::TempDir() + "/certs.d";
};

TEST_F(HostsTest, Defaults) {
  const struct {
    const char *domain, *url;
  } cases[] = {
      {"docker.io", "https://registry-1.docker.io/v2"},      {"registry.k8s.io", "https://registry.k8s.io/v2"},
      {"localhost:5000", "http://localhost:5000/v2"},        {"localhost", "http://localhost/v2"},
      {"127.0.0.1:5000", "http://127.0.0.1:5000/v2"},        {"[::1]:5000", "http://[::1]:5000/v2"},
      {"localhost.evil.io", "https://localhost.evil.io/v2"},
  };
  for (const auto& c : cases) {
    const auto hosts = LoadRegistryHosts(dir_, c.domain);
    ASSERT_OK(hosts);
    ASSERT_EQ(hosts->size(), 1u);
    EXPECT_EQ((*hosts)[0].base_url, c.url);
    EXPECT_EQ((*hosts)[0].namespace_argument, "");
  }
}

TEST_F(HostsTest, MirrorsInTheOrderOfTheFile) {
  Write("docker.io", R"(
server = "https://upstream.example"
skip_verify = true
[host."https://zzz.example:8443/prefix"]
  capabilities = ["pull"]
  ca = ["ca.pem"]
  client = [["cert.pem", "key.pem"]]
[host."http://aaa.example"]
  capabilities = ["pull", "resolve", "push"]
[host."https://mmm.example/some/v3/"]
  override_path = true
[host."https://mmm.example/some/v3/".header]
  X-Two = ["1", "2"]
  X-One = "one"
)");
  std::ofstream(dir_ + "/docker.io/ca.pem") << "PEM";
  const auto hosts = LoadRegistryHosts(dir_, "docker.io");
  ASSERT_OK(hosts);
  ASSERT_EQ(hosts->size(), 4u);
  EXPECT_EQ((*hosts)[0].base_url, "https://zzz.example:8443/prefix/v2");
  EXPECT_EQ((*hosts)[0].host, "zzz.example:8443");
  EXPECT_TRUE((*hosts)[0].can_pull);
  EXPECT_FALSE((*hosts)[0].can_resolve);
  EXPECT_EQ((*hosts)[0].tls.ca_pem, "PEM\n");
  EXPECT_EQ((*hosts)[0].tls.client_cert, dir_ + "/docker.io/cert.pem");
  EXPECT_EQ((*hosts)[0].tls.client_key, dir_ + "/docker.io/key.pem");
  EXPECT_EQ((*hosts)[0].namespace_argument, "docker.io");
  EXPECT_EQ((*hosts)[1].base_url, "http://aaa.example/v2");
  EXPECT_EQ((*hosts)[2].base_url, "https://mmm.example/some/v3");
  EXPECT_THAT((*hosts)[2].headers, UnorderedElementsAre(Pair("X-One", "one"), Pair("X-Two", "1"), Pair("X-Two", "2")));
  EXPECT_EQ((*hosts)[3].base_url, "https://upstream.example/v2");
  EXPECT_EQ((*hosts)[3].tls.verify, TlsOptions::Verify::kSkip);
  EXPECT_EQ((*hosts)[0].tls.verify, TlsOptions::Verify::kYes);
}

TEST_F(HostsTest, FoldersByPortAndDefault) {
  Write("_default", "[host.\"http://default\"]\n");
  EXPECT_EQ((*LoadRegistryHosts(dir_, "any.io"))[0].base_url, "http://default/v2");
  Write("any.io:5000", "[host.\"http://colon\"]\n");
  EXPECT_EQ((*LoadRegistryHosts(dir_, "any.io:5000"))[0].base_url, "http://colon/v2");
  Write("any.io_5000_", "[host.\"http://underscore\"]\n");
  EXPECT_EQ((*LoadRegistryHosts(dir_, "any.io:5000"))[0].base_url, "http://underscore/v2");
}

TEST_F(HostsTest, KeysThatNestTooDeepAreRefused) {
  std::string deep = "a";
  for (int i = 0; i < 250000; ++i) deep += ".a";
  for (const std::string& text : {deep + " = 1", "[" + deep + "]"}) {
    Write("x.io", text);
    EXPECT_THAT(LoadRegistryHosts(dir_, "x.io"), StatusIs(StatusCode::kInvalidArgument, "hosts.toml: more than"));
  }
  Write("x.io", deep.substr(0, 2 * 2000 + 1) + " = 1");
  EXPECT_OK(LoadRegistryHosts(dir_, "x.io"));
}

TEST_F(HostsTest, SchemesAreOfAnyCase) {
  Write("x.io", "server = \"httpS://mirror.example\"\n");
  const auto hosts = LoadRegistryHosts(dir_, "x.io");
  ASSERT_OK(hosts);
  EXPECT_EQ((*hosts)[0].base_url, "https://mirror.example/v2");
}

TEST_F(HostsTest, CommentsMayBeOfAnyScript) {
  Write("x.io", "  # f\u00fcr alle\nserver = \"https://mirror.example\"\n");
  EXPECT_OK(LoadRegistryHosts(dir_, "x.io"));
}

TEST_F(HostsTest, ErrorsNameFileAndKey) {
  const struct {
    const char *text, *part;
  } cases[] = {
      {"server = ", "line 1"},
      {"server = 7", "server"},
      {"host = 7", "host"},
      {"[host]\nx = 7", "host"},
      {"[host.\"ftp://x\"]", "ftp://x"},
      {"[host.\"/x\"]", "names no host"},
      {"server = \"https:/x://y\"", "is not an http or https URL"},
      {"a = 1\nb = \u00e9", "line 2: not ASCII"},
      {"[host.\"http://x\"]\ncapabilities = [\"fly\"]", "fly"},
      {"[host.\"http://x\"]\nskip_verify = \"yes\"", "skip_verify"},
      {"[host.\"http://x\"]\nca = 7", "ca"},
      {"[host.\"http://x\"]\nclient = [1]", "client"},
      {"[host.\"http://x\"]\nheader = 7", "header"},
      {"[host.\"http://x\"]\n[host.\"http://x\".header]\n\"a\\nb\" = \"c\"", "line break in name"},
      {"[host.\"http://x\"]\n[host.\"http://x\".header]\na = \"b\\nc\"", "line break"},
  };
  for (const auto& c : cases) {
    Write("x.io", c.text);
    const auto hosts = LoadRegistryHosts(dir_, "x.io");
    EXPECT_THAT(hosts, StatusIs(StatusCode::kInvalidArgument, c.part)) << c.text;
    EXPECT_THAT(hosts, StatusIs(StatusCode::kInvalidArgument, "hosts.toml")) << c.text;
  }
  Write("x.io", "[host.\"http://x\"]\nca = \"missing.pem\"");
  EXPECT_THAT(LoadRegistryHosts(dir_, "x.io"), StatusIs(StatusCode::kNotFound, "missing.pem"));
}

class RegistryClientTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(RemoveTree(root_));
    ASSERT_OK(MakeFolders(root_));
    content_ = *ContentStore::Open(root_, root_ + "/tmp");
    digest_ = registry_.PutBlob(blob_);
    manifest_ = registry_.PutManifest("app", "v", "{}", "application/json");
  }
  void TearDown() override { EXPECT_OK(RemoveTree(root_)); }

  static RegistryHost Host(const FakeRegistry& registry) {
    RegistryHost host;
    host.base_url = registry.url() + "/v2";
    host.host = registry.host();
    return host;
  }
  static RegistryClient::Options Options(std::vector<RegistryHost> hosts, RegistryAuth auth = {}) {
    return {.hosts = std::move(hosts), .repository = "app", .auth = std::move(auth), .docker_config = ""};
  }
  absl::Status FetchBlob(RegistryClient& client) {
    auto writer = *content_->Begin(digest_, blob_.size());
    absl::Status status = client.FetchBlob(http_, digest_, *writer, [&](int64_t bytes) { counted_ += bytes; }, {});
    if (status.ok()) {
      EXPECT_EQ(*content_->Read(digest_, 1 << 20), blob_);
    }
    return status;
  }

  const std::string root_ = testing::TempDir() + "/registry-client";
  const std::string blob_ = std::string(200000, 'a') + "end";
  FakeRegistry registry_;
  HttpClient http_{absl::Seconds(20)};
  std::unique_ptr<ContentStore> content_;
  Digest digest_, manifest_;
  int64_t counted_ = 0;
};

TEST_F(RegistryClientTest, Authenticates) {
  const struct {
    FakeRegistry::Auth kind;
    RegistryAuth auth;
    StatusCode code;
  } cases[] = {
      {FakeRegistry::Auth::kBasic, {.username = "user", .password = "secret"}, StatusCode::kOk},
      {FakeRegistry::Auth::kBasic, {.auth = absl::Base64Escape("user:secret")}, StatusCode::kOk},
      {FakeRegistry::Auth::kBasic, {.username = "user", .password = "wrong"}, StatusCode::kUnauthenticated},
      {FakeRegistry::Auth::kBasic, {}, StatusCode::kUnauthenticated},
      {FakeRegistry::Auth::kBasic,
       {.username = "user", .password = "secret", .server_address = "elsewhere"},
       StatusCode::kUnauthenticated},
      {FakeRegistry::Auth::kToken, {.username = "user", .password = "secret"}, StatusCode::kOk},
      {FakeRegistry::Auth::kToken, {.username = "user", .password = "wrong"}, StatusCode::kUnauthenticated},
      {FakeRegistry::Auth::kToken, {.identity_token = "refresh"}, StatusCode::kOk},
      {FakeRegistry::Auth::kToken, {.registry_token = "token-of-the-fake"}, StatusCode::kOk},
      {FakeRegistry::Auth::kToken, {}, StatusCode::kUnauthenticated},
  };
  for (const auto& c : cases) {
    registry_.SetAuth(c.kind);
    RegistryClient client(Options({Host(registry_)}, c.auth));
    EXPECT_EQ(client.FetchManifest(http_, "v", {}).status().code(), c.code);
    if (c.code != StatusCode::kOk) continue;
    const int tokens = registry_.Count("/token");
    EXPECT_OK(FetchBlob(client));
    EXPECT_EQ(registry_.Count("/token"), tokens) << "a token is used again";
  }
}

TEST_F(RegistryClientTest, ResumesABrokenBlob) {
  registry_.Misbehave("/blobs/", {.kind = Kind::kTruncate, .bytes = 70000}, 2);
  RegistryClient client(Options({Host(registry_)}));
  ASSERT_OK(FetchBlob(client));
  const auto requests = registry_.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].range, "");
  EXPECT_EQ(requests[1].range, "bytes=70000-");
  EXPECT_EQ(requests[2].range, "bytes=140000-");
  EXPECT_EQ(counted_, static_cast<int64_t>(blob_.size()));
}

TEST_F(RegistryClientTest, StartsAnewWhereRangesAreIgnored) {
  registry_.SetRanges(FakeRegistry::Ranges::kIgnore);
  registry_.Misbehave("/blobs/", {.kind = Kind::kTruncate, .bytes = 70000});
  RegistryClient client(Options({Host(registry_)}));
  EXPECT_OK(FetchBlob(client));
  EXPECT_EQ(counted_, static_cast<int64_t>(blob_.size()));
}

TEST_F(RegistryClientTest, GivesUpInTheEnd) {
  registry_.Misbehave("/blobs/", {.kind = Kind::kTruncate, .bytes = 0}, 100);
  RegistryClient client(Options({Host(registry_)}));
  EXPECT_THAT(FetchBlob(client), StatusIs(StatusCode::kUnavailable));
  EXPECT_LT(registry_.Count("/blobs/"), 10);
  EXPECT_THAT(*ListFolder(root_ + "/tmp"), IsEmpty());
}

TEST_F(RegistryClientTest, RetriesOverload) {
  for (const int status : {429, 503, 500}) {
    registry_.Misbehave("/manifests/", {.kind = Kind::kStatus, .status = status});
    registry_.Misbehave("/blobs/", {.kind = Kind::kStatus, .status = status});
    RegistryClient client(Options({Host(registry_)}));
    EXPECT_OK(client.FetchManifest(http_, "v", {})) << status;
    EXPECT_OK(FetchBlob(client)) << status;
  }
  registry_.Misbehave("/manifests/", {.kind = Kind::kStatus, .status = 503}, 100);
  RegistryClient client(Options({Host(registry_)}));
  EXPECT_THAT(client.FetchManifest(http_, "v", {}), StatusIs(StatusCode::kUnavailable, "503"));
}

TEST_F(RegistryClientTest, RedirectsLoseWhatIsSecret) {
  FakeRegistry storage;
  storage.PutBlob(blob_);
  registry_.SetAuth(FakeRegistry::Auth::kBasic);
  RegistryHost host = Host(registry_);
  host.headers = {{"X-Custom", "mine"}};
  RegistryClient client(Options({host}, {.username = "user", .password = "secret"}));
  ASSERT_OK(client.FetchManifest(http_, "v", {}));
  registry_.Misbehave("/blobs/",
                      {.kind = Kind::kRedirect, .location = storage.url() + "/v2/x/blobs/" + digest_.ToString()});
  ASSERT_OK(FetchBlob(client));
  EXPECT_THAT(storage.requests(), Each(Field(&FakeRegistry::Request::authorization, "")));
  EXPECT_THAT(storage.requests(), Each(Field(&FakeRegistry::Request::custom, "")));
  EXPECT_EQ(registry_.requests().back().custom, "mine");
  EXPECT_THAT(registry_.requests().back().authorization, Not(IsEmpty()));
  // On the same host they stay; round in circles ends.
  registry_.Misbehave("/blobs/", {.kind = Kind::kRedirect, .location = "/v2/elsewhere/blobs/" + digest_.ToString()});
  EXPECT_OK(FetchBlob(client));
  EXPECT_THAT(registry_.requests().back().authorization, Not(IsEmpty()));
  registry_.Misbehave("/blobs/", {.kind = Kind::kRedirect, .location = "/v2/app/blobs/" + digest_.ToString()}, 1000);
  EXPECT_THAT(FetchBlob(client), StatusIs(StatusCode::kUnavailable, "redirects"));
  registry_.Behave();
  registry_.Misbehave("/blobs/", {.kind = Kind::kRedirect, .location = "file:///etc/passwd"}, 1000);
  EXPECT_THAT(FetchBlob(client), StatusIs(StatusCode::kUnavailable, "not http"));
}

TEST_F(RegistryClientTest, MirrorsStandIn) {
  FakeRegistry mirror;
  RegistryHost first = Host(mirror);
  first.namespace_argument = "docker.io";
  RegistryClient client(Options({first, Host(registry_)}));
  EXPECT_OK(client.FetchManifest(http_, "v", {})) << "not on the mirror";
  EXPECT_EQ(mirror.requests()[0].target, "/v2/app/manifests/v?ns=docker.io");
  EXPECT_OK(FetchBlob(client));
  mirror.PutBlob(blob_);
  mirror.Misbehave("/blobs/", {.kind = Kind::kCorrupt});
  EXPECT_OK(FetchBlob(client)) << "a mirror that lies is passed over";
  const int asked = registry_.Count("/blobs/");
  EXPECT_OK(FetchBlob(client));
  EXPECT_EQ(registry_.Count("/blobs/"), asked) << "the mirror had it";

  first.can_resolve = false;
  RegistryClient pull_only(Options({first, Host(registry_)}));
  const int before = mirror.Count("/manifests/");
  EXPECT_OK(pull_only.FetchManifest(http_, "v", {}));
  EXPECT_EQ(mirror.Count("/manifests/"), before);
  first.can_pull = false;
  RegistryClient nobody(Options({first}));
  EXPECT_THAT(nobody.FetchManifest(http_, "v", {}), StatusIs(StatusCode::kNotFound, "capabilities"));
}

TEST_F(RegistryClientTest, ManifestsAreVerified) {
  RegistryClient client(Options({Host(registry_)}));
  const auto by_digest = client.FetchManifest(http_, manifest_.ToString(), {});
  ASSERT_OK(by_digest);
  EXPECT_EQ(by_digest->digest, manifest_);
  registry_.Misbehave("/manifests/", {.kind = Kind::kCorrupt});
  EXPECT_THAT(client.FetchManifest(http_, manifest_.ToString(), {}), StatusIs(StatusCode::kDataLoss, "wrong digest"));
  registry_.Misbehave("/manifests/", {.kind = Kind::kTruncate, .bytes = 1});
  EXPECT_EQ(client.FetchManifest(http_, "v", {})->content, "{}") << "a broken manifest is fetched again";
}

TEST(UrlTest, Origins) {
  EXPECT_EQ(UrlOrigin("HTTPS://Host.io/x"), "https://host.io:443");
  EXPECT_EQ(UrlOrigin("http://host.io:80/y"), "http://host.io:80");
  for (const char* bad : {"", "host.io/x", "ftp://x", "file:///etc", "http://"}) EXPECT_EQ(UrlOrigin(bad), "") << bad;
  EXPECT_EQ(UrlEscape("a b:c/é"), "a%20b%3ac%2f%c3%a9");
}

}  // namespace
}  // namespace podvisor
