// PodNetwork with the real plugins, on a "host" that is the test's own.

#include "netns/pod_network.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "netns/namespace.h"
#include "netns/testing/fake_guest.h"
#include "netns/testing/private_host.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kPlugins[] = "/usr/lib/cni";

absl::Status& HostStatus() {
  static absl::Status status;
  return status;
}

class PrivateHost : public testing::Environment {
  void SetUp() override { HostStatus() = EnterPrivateHost(); }
};
[[maybe_unused]] testing::Environment* const kHost = testing::AddGlobalTestEnvironment(new PrivateHost);

absl::Time Soon() { return absl::Now() + absl::Minutes(1); }

class PodNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HostStatus().ok()) GTEST_SKIP() << "no namespaces of our own: " << HostStatus();
    for (const char* plugin : {"bridge", "host-local", "portmap", "ptp"})
      if (::access(absl::StrCat(kPlugins, "/", plugin).c_str(), X_OK) != 0)
        GTEST_SKIP() << "no CNI plugin " << plugin << " in " << kPlugins << " (package containernetworking-plugins)";
    dir_ = absl::StrCat(testing::TempDir(), "/pod_network_", ::getpid());
    for (const char* folder : {"conf", "bin", "ipam"})
      std::filesystem::create_directories(absl::StrCat(dir_, "/", folder));
    WriteConfig("");
    network_ = MakeNetwork();
  }

  void TearDown() override {
    if (network_ != nullptr) {
      for (const NetworkRequest& request : requests_) {
        EXPECT_OK(network_->Teardown(request, Soon()));
        EXPECT_OK(network_->DeleteNamespace(request.sandbox_id));
      }
      EXPECT_THAT(*network_->ListNamespaces(), IsEmpty());
    }
    RunTool({"/usr/sbin/ip", "link", "delete", "pvtest0"}).IgnoreError();
    std::filesystem::remove_all(dir_);
  }

  std::unique_ptr<PodNetwork> MakeNetwork(const std::string& interworking = "tcfilter") {
    PodNetworkOptions options;
    options.cni_conf_dir = absl::StrCat(dir_, "/conf");
    options.cni_bin_dirs = {absl::StrCat(dir_, "/bin"), kPlugins};
    options.cni_cache_dir = absl::StrCat(dir_, "/cache");
    options.netns_dir = absl::StrCat(dir_, "/netns");
    options.interworking = interworking;
    absl::StatusOr<std::unique_ptr<PodNetwork>> network = PodNetwork::Create(options);
    EXPECT_OK(network);
    return network.ok() ? *std::move(network) : nullptr;
  }

  // bridge + portmap, and what else is asked for.
  void WriteConfig(const std::string& more_plugins) {
    std::ofstream(absl::StrCat(dir_, "/conf/10-test.conflist"))
        << absl::StrReplaceAll(R"({
      "cniVersion": "1.0.0", "name": "test", "plugins": [
        {"type": "bridge", "bridge": "pvtest0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": 1400,
         "ipam": {"type": "host-local", "dataDir": "DIR/ipam",
                  "ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]],
                  "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]},
         "dns": {"nameservers": ["10.77.0.1"], "search": ["test.example"], "options": ["ndots:2"]}},
        {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true} MORE
      ]})",
                               {{"DIR", dir_}, {"MORE", more_plugins}});
  }

  void WritePlugin(const std::string& name, const std::string& script) {
    const std::string path = absl::StrCat(dir_, "/bin/", name);
    std::ofstream(path) << "#!/bin/sh\n" << script;
    ::chmod(path.c_str(), 0755);
  }

  NetworkRequest MakeSandbox(const std::string& id) {
    NetworkRequest request;
    request.sandbox_id = id;
    request.pod_namespace = "default";
    request.pod_name = "web";
    request.pod_uid = "0000-1111";
    absl::StatusOr<std::string> path = network_->CreateNamespace(id);
    EXPECT_OK(path);
    request.netns_path = path.value_or("");
    requests_.push_back(request);
    return request;
  }

  std::string dir_;
  std::unique_ptr<PodNetwork> network_;
  std::vector<NetworkRequest> requests_;
};

TEST_F(PodNetworkTest, GivesTheGuestWhatCniGave) {
  EXPECT_OK(network_->Ready());
  const NetworkRequest request = MakeSandbox("aa01");
  EXPECT_THAT(*network_->ListNamespaces(), ElementsAre("aa01"));
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
  ASSERT_OK(result);
  ASSERT_THAT(result->interfaces, SizeIs(1));
  const GuestInterface& interface = result->interfaces[0];
  EXPECT_EQ(interface.name, "eth0");
  EXPECT_EQ(interface.mtu, 1400u);
  EXPECT_THAT(interface.mac, testing::MatchesRegex("([0-9a-f]{2}:){5}[0-9a-f]{2}"));
  EXPECT_THAT(interface.addresses, ElementsAre("10.77.0.2/24", "fd77::2/64"));
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.2", "fd77::2"));
  EXPECT_THAT(result->dns_servers, ElementsAre("10.77.0.1"));
  EXPECT_THAT(result->dns_searches, ElementsAre("test.example"));
  EXPECT_THAT(result->dns_options, ElementsAre("ndots:2"));
  std::vector<std::string> routes;
  for (const GuestRoute& route : result->routes)
    routes.push_back(absl::StrCat(route.destination, " via ", route.gateway, " dev ", route.device));
  EXPECT_THAT(routes, testing::UnorderedElementsAre("0.0.0.0/0 via 10.77.0.1 dev eth0", "::/0 via fd77::1 dev eth0"));
  const std::string tap = *RunTool({"/usr/sbin/ip", "link", "show", kPodTap}, request.netns_path);
  EXPECT_THAT(tap, testing::HasSubstr("mtu 1400"));
}

}  // namespace
}  // namespace podvisor
