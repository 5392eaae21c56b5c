#include "netns/testing/pod_network_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_matchers.h"
#include "netns/testing/private_host.h"

namespace podvisor {
namespace {

constexpr char kPlugins[] = "/usr/lib/cni";

absl::Status& HostStatus() {
  static absl::Status status;
  return status;
}

class PrivateHost : public testing::Environment {
  void SetUp() override { HostStatus() = EnterPrivateHost(); }
};
[[maybe_unused]] testing::Environment* const kHost = testing::AddGlobalTestEnvironment(new PrivateHost);

}  // namespace

Plugins& ChosenPlugins() {
  static Plugins plugins = Plugins::kPrograms;
  return plugins;
}

void PodNetworkFixture::SetUp() {
  if (!HostStatus().ok()) GTEST_SKIP() << "no namespaces of our own: " << HostStatus();
  for (const char* plugin : {"bridge", "host-local", "portmap", "ptp"})
    if (::access(absl::StrCat(kPlugins, "/", plugin).c_str(), X_OK) != 0)
      GTEST_SKIP() << "no CNI plugin " << plugin << " in " << kPlugins << " (package containernetworking-plugins)";
  dir_ = absl::StrCat(testing::TempDir(), "/pod_network_", ::getpid());
  for (const char* folder : {"conf", "bin", "ipam"})
    std::filesystem::create_directories(absl::StrCat(dir_, "/", folder));
  WriteConfig();
  network_ = MakeNetwork();
}

void PodNetworkFixture::TearDown() {
  if (network_ == nullptr) return;
  for (const NetworkRequest& request : requests_) {
    EXPECT_OK(network_->Teardown(request, Soon()));
    EXPECT_OK(network_->DeleteNamespace(request.sandbox_id));
  }
  EXPECT_THAT(*network_->ListNamespaces(), testing::IsEmpty());
  EXPECT_THAT(Leases(), testing::IsEmpty());
  EXPECT_THAT(Snapshot(), testing::Not(testing::AnyOf(testing::HasSubstr("veth"), testing::HasSubstr("podvisor_"))));
  network_.reset();
  db_.reset();
  RunTool({"/usr/sbin/ip", "link", "delete", kBridge}).IgnoreError();
  std::filesystem::remove_all(dir_);
}

std::unique_ptr<PodNetwork> PodNetworkFixture::MakeNetwork(const std::string& interworking,
                                                           absl::Duration cni_timeout) {
  PodNetworkOptions options;
  options.cni_conf_dir = absl::StrCat(dir_, "/conf");
  options.cni_bin_dirs = {absl::StrCat(dir_, "/bin"), kPlugins};
  options.cni_cache_dir = absl::StrCat(dir_, "/cache");
  options.netns_dir = absl::StrCat(dir_, "/netns");
  options.interworking = interworking;
  options.cni_timeout = cni_timeout;
  if (db_ == nullptr) {
    absl::StatusOr<std::unique_ptr<StateDb>> db = StateDb::Open(absl::StrCat(dir_, "/state.db"));
    EXPECT_OK(db);
    if (db.ok()) db_ = *std::move(db);
  }
  options.state_db = db_.get();
  options.cni_builtin = IsBuiltin();
  absl::StatusOr<std::unique_ptr<PodNetwork>> network = PodNetwork::Create(options);
  EXPECT_OK(network);
  return network.ok() ? *std::move(network) : nullptr;
}

void PodNetworkFixture::WriteConfigText(const std::string& text) {
  std::ofstream(absl::StrCat(dir_, "/conf/10-test.conflist")) << text;
}

void PodNetworkFixture::WriteConfig(const std::string& more_plugins, Masquerade masquerade) {
  WriteConfigText(absl::StrReplaceAll(R"({
    "cniVersion": "1.0.0", "name": "test", "plugins": [
      {"type": "bridge", "bridge": "BRIDGE", "isGateway": true, "ipMasq": MASQUERADE, "hairpinMode": true, "mtu": 1400,
       "ipam": {"type": "host-local", "dataDir": "DIR/ipam",
                "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]],
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]},
       "dns": {"nameservers": ["10.77.0.1"], "search": ["test.example"], "options": ["ndots:2"]}},
      {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true} MORE
    ]})",
                                      {{"BRIDGE", kBridge},
                                       {"DIR", dir_},
                                       {"MASQUERADE", masquerade == Masquerade::kYes ? "true" : "false"},
                                       {"MORE", more_plugins}}));
}

void PodNetworkFixture::WritePlugin(const std::string& name, const std::string& script) {
  const std::string path = absl::StrCat(dir_, "/bin/", name);
  std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
  ::chmod(path.c_str(), 0755);
}

NetworkRequest PodNetworkFixture::Request(const std::string& id) {
  NetworkRequest request;
  request.sandbox_id = id;
  request.pod_namespace = "default";
  request.pod_name = "web";
  request.pod_uid = "0000-1111";
  return request;
}

NetworkRequest PodNetworkFixture::MakeSandbox(const std::string& id) {
  NetworkRequest request = Request(id);
  absl::StatusOr<std::string> path = network_->CreateNamespace(id);
  EXPECT_OK(path);
  request.netns_path = path.value_or("");
  requests_.push_back(request);
  return request;
}

void PodNetworkFixture::Settle() {
  if (network_ == nullptr) return;
  EXPECT_OK(network_->ListNamespaces());
}

std::string PodNetworkFixture::Snapshot() {
  Settle();
  return HostSnapshot(dir_);
}

std::string PodNetworkFixture::SnapshotAfterOnePod() {
  NetworkRequest request = Request("first");
  request.netns_path = network_->CreateNamespace("first").value_or("");
  request.port_mappings = {{"tcp", 80, 18000, ""}};
  EXPECT_OK(network_->Setup(request, Soon()));
  EXPECT_OK(network_->Teardown(request, Soon()));
  EXPECT_OK(network_->DeleteNamespace("first"));
  return Snapshot();
}

std::vector<std::string> PodNetworkFixture::Leases() {
  Settle();
  std::vector<std::string> leases;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(absl::StrCat(dir_, "/ipam"), error)) {
    const std::string name = entry.path().filename();
    if (entry.is_regular_file() && name.rfind("last_reserved", 0) != 0 && name != "lock") leases.push_back(name);
  }
  std::sort(leases.begin(), leases.end());
  return leases;
}

}  // namespace podvisor
