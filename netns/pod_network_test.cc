// A pod's network from beginning to end, and all that can go wrong on the way.

#include "netns/pod_network.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "netns/namespace.h"
#include "netns/testing/pod_network_fixture.h"
#include "netns/testing/private_host.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kIp[] = "/usr/sbin/ip";

std::vector<std::string> RouteTexts(const PodNetworkResult& result) {
  std::vector<std::string> routes;
  for (const GuestRoute& route : result.routes)
    routes.push_back(absl::StrCat(route.destination, " via ", route.gateway.empty() ? "link" : route.gateway));
  return routes;
}

class PodNetworkTest : public PodNetworkFixture {};

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
  EXPECT_THAT(*RunTool({kIp, "link", "show", "eth0"}, request.netns_path), HasSubstr(interface.mac));
  EXPECT_THAT(interface.addresses, ElementsAre("10.77.0.2/24", "fd77::2/64"));
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.2", "fd77::2"));
  EXPECT_THAT(result->dns_servers, ElementsAre("10.77.0.1"));
  EXPECT_THAT(result->dns_searches, ElementsAre("test.example"));
  EXPECT_THAT(result->dns_options, ElementsAre("ndots:2"));
  EXPECT_THAT(RouteTexts(*result), testing::UnorderedElementsAre("0.0.0.0/0 via 10.77.0.1", "::/0 via fd77::1"));
  EXPECT_THAT(*RunTool({kIp, "link", "show", kPodTap}, request.netns_path), HasSubstr("mtu 1400"));
  EXPECT_THAT(*RunTool({kIp, "link", "show", "lo"}, request.netns_path), HasSubstr("LOOPBACK,UP"));
}

// The gateway of ptp is reached by a route of its own, which has to come first.
TEST_F(PodNetworkTest, RoutesToGatewaysComeFirst) {
  WriteConfigText(absl::StrCat(R"({"cniVersion": "0.3.1", "name": "test", "type": "ptp", "ipam": {"type": "host-local",
      "dataDir": ")",
                               dir_, R"(/ipam", "subnet": "10.78.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}})"));
  const NetworkRequest request = MakeSandbox("aa02");
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
  ASSERT_OK(result);
  EXPECT_EQ(RouteTexts(*result)[0], "10.78.0.1/32 via link");
  EXPECT_THAT(RouteTexts(*result), testing::IsSupersetOf({"10.78.0.0/24 via 10.78.0.1", "0.0.0.0/0 via 10.78.0.1"}));
}

TEST_F(PodNetworkTest, PermanentNeighboursAndOnLinkGatewaysAreTaken) {
  WritePlugin("extra", absl::StrCat(R"(
[ $CNI_COMMAND = ADD ] || exit 0
in=$(cat)
nsenter=/usr/bin/nsenter
$nsenter --net=$CNI_NETNS )",
                                    kIp, R"( neigh add 10.77.0.99 lladdr 0a:00:00:00:00:99 dev eth0 nud permanent >&2
$nsenter --net=$CNI_NETNS )",
                                    kIp, R"( route add 10.99.0.0/16 via 192.0.2.1 dev eth0 onlink >&2
printf '{"cniVersion":"1.0.0","ips":[{"address":"10.77.0.2/24"},{"address":"fe80::7/64"}]}')"));
  WriteConfig(R"(, {"type": "extra"})");
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(MakeSandbox("aa03"), Soon());
  ASSERT_OK(result);
  ASSERT_THAT(result->neighbors, SizeIs(1));
  EXPECT_EQ(result->neighbors[0].address, "10.77.0.99");
  EXPECT_EQ(result->neighbors[0].mac, "0a:00:00:00:00:99");
  EXPECT_EQ(RouteTexts(*result)[0], "192.0.2.1/32 via link");
  EXPECT_THAT(RouteTexts(*result), testing::Contains("10.99.0.0/16 via 192.0.2.1"));
  // CNI's first, link-local if CNI says so; others that are there follow.
  EXPECT_THAT(result->interfaces[0].addresses, ElementsAre("10.77.0.2/24", "fe80::7/64", "fd77::2/64"));
}

TEST_F(PodNetworkTest, LeavesNothingBehind) {
  const std::string before = SnapshotAfterOnePod();
  NetworkRequest request = MakeSandbox("bb01");
  request.port_mappings = {{"tcp", 80, 18001, ""}};
  ASSERT_OK(network_->Setup(request, Soon()));
  EXPECT_NE(Snapshot(), before);
  EXPECT_THAT(Snapshot(), HasSubstr("18001"));
  ASSERT_OK(network_->Teardown(request, Soon()));
  ASSERT_OK(network_->DeleteNamespace("bb01"));
  EXPECT_EQ(Snapshot(), before);
  EXPECT_OK(network_->Teardown(request, Soon()));
  EXPECT_OK(network_->DeleteNamespace("bb01"));
}

struct FailingPlugin {
  const char* name;
  const char* script;
  absl::StatusCode code;
  const char* error;
};

class PodNetworkFailureTest : public PodNetworkFixture, public testing::WithParamInterface<FailingPlugin> {};

TEST_P(PodNetworkFailureTest, LeavesNothingAndARetrySucceeds) {
  const std::string before = SnapshotAfterOnePod();
  WritePlugin("extra", absl::StrCat("[ $CNI_COMMAND = ADD ] || exit 0\n", GetParam().script));
  WriteConfig(R"(, {"type": "extra"})", Masquerade::kNo);
  network_ = MakeNetwork("tcfilter", absl::Seconds(10));
  NetworkRequest request = MakeSandbox("cc01");
  request.port_mappings = {{"tcp", 80, 18002, ""}};
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
  EXPECT_THAT(result, StatusIs(GetParam().code, "network of sandbox cc01: "));
  EXPECT_THAT(result, StatusIs(GetParam().code, std::string(GetParam().error)));
  EXPECT_THAT(result.status().message(), Not(HasSubstr("undoing")));
  EXPECT_THAT(network_->Load(request), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Leases(), IsEmpty());

  WriteConfig("", Masquerade::kNo);
  EXPECT_OK(network_->Setup(request, Soon()));
  ASSERT_OK(network_->Teardown(request, Soon()));
  ASSERT_OK(network_->DeleteNamespace("cc01"));
  std::filesystem::remove(absl::StrCat(dir_, "/bin/extra"));
  EXPECT_EQ(Snapshot(), before);
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, PodNetworkFailureTest,
    testing::Values(FailingPlugin{"Error", R"(printf '{"code": 999, "msg": "no"}'; exit 1)",
                                  absl::StatusCode::kInternal, "CNI network test: CNI plugin extra ADD: no"},
                    FailingPlugin{"TryAgainLater", R"(printf '{"code": 11, "msg": "full"}'; exit 1)",
                                  absl::StatusCode::kUnavailable, "full"},
                    FailingPlugin{"Garbage", "echo hello", absl::StatusCode::kInternal, "unusable"},
                    FailingPlugin{"Empty", "exit 0", absl::StatusCode::kInternal, "unusable"},
                    FailingPlugin{"Hang", "sleep 1000", absl::StatusCode::kDeadlineExceeded, "plugin extra ADD"},
                    FailingPlugin{"NoInterface",
                                  "/usr/bin/nsenter --net=$CNI_NETNS /usr/sbin/ip link delete eth0; printf '{}'",
                                  absl::StatusCode::kInternal, "no interface eth0"}),
    [](const auto& test) { return test.param.name; });

TEST_F(PodNetworkTest, WhatCannotBeUndoneIsOwed) {
  WritePlugin("extra", absl::StrCat("[ -e ", dir_, "/well ] || exit 5\nprintf '{}'"));
  WriteConfig(R"(, {"type": "extra"})");
  const NetworkRequest request = MakeSandbox("cc02");
  EXPECT_THAT(network_->Setup(request, Soon()), StatusIs(absl::StatusCode::kInternal, "undoing it failed too"));
  EXPECT_THAT(Leases(), IsEmpty());  // the other plugins' DEL ran
  EXPECT_THAT(network_->Teardown(request, Soon()), StatusIs(absl::StatusCode::kInternal, "plugin extra DEL"));
  EXPECT_THAT(network_->Setup(request, Soon()), StatusIs(absl::StatusCode::kInternal, "plugin extra DEL"));
  std::ofstream(absl::StrCat(dir_, "/well")) << "yes";
  EXPECT_OK(network_->Teardown(request, Soon()));
  EXPECT_THAT(network_->Load(request), StatusIs(absl::StatusCode::kNotFound));
}

// What a mistake in the configuration left is undone once the mistake is mended.
TEST_F(PodNetworkTest, AMendedConfigurationUndoesWhatTheOldOneCouldNot) {
  const std::string good = ReadFile(absl::StrCat(dir_, "/conf/10-test.conflist"), 1 << 20).value_or("");
  WriteConfigText(absl::StrReplaceAll(good, {{"\"snat\": true", "\"snat\": \"perhaps\""}}));
  const NetworkRequest request = MakeSandbox("cc03");
  EXPECT_FALSE(network_->Setup(request, Soon()).ok());
  // The built-in plugins need no configuration to undo what they did.
  EXPECT_EQ(network_->Teardown(request, Soon()).ok(), IsBuiltin());
  WriteConfigText(good);
  EXPECT_OK(network_->Teardown(request, Soon()));
  EXPECT_FALSE(std::filesystem::exists(absl::StrCat(dir_, "/cache/cc03-eth0")));
}

TEST_F(PodNetworkTest, ARestartedDaemonGoesOn) {
  const std::string before = SnapshotAfterOnePod();
  NetworkRequest request = MakeSandbox("dd01");
  request.port_mappings = {{"tcp", 80, 18003, ""}};
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
  ASSERT_OK(result);

  network_ = MakeNetwork();
  EXPECT_THAT(*network_->ListNamespaces(), ElementsAre("dd01"));
  const absl::StatusOr<PodNetworkResult> loaded = network_->Load(request);
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->ips, result->ips);
  EXPECT_EQ(loaded->interfaces[0].mac, result->interfaces[0].mac);
  EXPECT_EQ(RouteTexts(*loaded), RouteTexts(*result));
  EXPECT_EQ(loaded->dns_servers, result->dns_servers);
  EXPECT_OK(network_->OpenTap("dd01"));
  const absl::StatusOr<PodNetworkResult> again = network_->Setup(request, Soon());
  ASSERT_OK(again);
  EXPECT_EQ(again->ips, result->ips);

  // DEL is done by the configuration of ADD, whatever is there now.
  WriteConfigText("{}");
  EXPECT_THAT(network_->Ready(), StatusIs(absl::StatusCode::kFailedPrecondition, "10-test.conflist"));
  ASSERT_OK(network_->Teardown(request, Soon()));
  ASSERT_OK(network_->DeleteNamespace("dd01"));
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(PodNetworkTest, CheckNoticesALostInterface) {
  WriteConfig("", Masquerade::kNo);
  const NetworkRequest request = MakeSandbox("dd02");
  EXPECT_THAT(network_->Check(request, Soon()), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(network_->Setup(request, Soon()));
  EXPECT_OK(network_->Check(request, Soon()));
  ASSERT_OK(RunTool({kIp, "link", "delete", "eth0"}, request.netns_path));
  EXPECT_THAT(network_->Check(request, Soon()), StatusIs(absl::StatusCode::kInternal, "plugin bridge CHECK"));
  EXPECT_THAT(network_->Load(request), StatusIs(absl::StatusCode::kInternal, "no interface eth0"));
  // Setup() finds that, too, and makes it anew.
  EXPECT_OK(network_->Setup(request, Soon()));
  EXPECT_OK(network_->Check(request, Soon()));
}

TEST_F(PodNetworkTest, AKilledDaemonsHalfDoneSetupIsUndone) {
  const std::string before = SnapshotAfterOnePod();
  // Tells when bridge and portmap are done, and then hangs; the pipe's end tells when it is dead.
  const std::string fifo = absl::StrCat(dir_, "/fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const UniqueFd events(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  WritePlugin("extra",
              absl::StrCat("[ $CNI_COMMAND = ADD ] || exit 0\nexec 9>", fifo, "\necho x >&9\nexec sleep 1000"));
  WriteConfig(R"(, {"type": "extra"})");
  const NetworkRequest request = MakeSandbox("ee01");

  network_.reset();
  db_.reset();
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    MakeNetwork()->Setup(request, absl::InfiniteFuture()).IgnoreError();
    ::_exit(0);
  }
  pollfd poll_fd = {events.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&poll_fd, 1, 120000), 1);
  ASSERT_EQ(::kill(daemon, SIGKILL), 0);
  ASSERT_EQ(::waitpid(daemon, nullptr, 0), daemon);
  char text[16];
  ASSERT_EQ(::read(events.get(), text, sizeof text), 2);
  ASSERT_EQ(::poll(&poll_fd, 1, 120000), 1);
  EXPECT_NE(poll_fd.revents & POLLHUP, 0) << "the plugin outlived the daemon";
  EXPECT_THAT(Leases(), SizeIs(2));

  network_ = MakeNetwork();
  EXPECT_THAT(*network_->ListNamespaces(), ElementsAre("ee01"));
  EXPECT_THAT(Leases(), SizeIs(2)) << "DEL is owed";
  EXPECT_THAT(network_->Load(request), StatusIs(absl::StatusCode::kNotFound, "never ended"));
  ASSERT_OK(network_->Teardown(request, Soon()));
  ASSERT_OK(network_->DeleteNamespace("ee01"));
  for (const char* file : {"fifo", "bin/extra"}) std::filesystem::remove(absl::StrCat(dir_, "/", file));
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(PodNetworkTest, TeardownWorksAfterAReboot) {
  const NetworkRequest request = MakeSandbox("ff01");
  ASSERT_OK(network_->Setup(request, Soon()));
  ASSERT_OK(network_->DeleteNamespace("ff01"));  // as a reboot does
  Settle();
  EXPECT_THAT(Leases(), SizeIs(2));
  EXPECT_THAT(network_->Load(request), StatusIs(absl::StatusCode::kInternal, "no network namespace"));
  EXPECT_OK(network_->Teardown(request, Soon()));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(PodNetworkTest, TeardownWorksAfterAPowerCutTookTheCacheEntry) {
  const NetworkRequest request = MakeSandbox("ff02");
  ASSERT_OK(network_->Setup(request, Soon()));
  std::filesystem::resize_file(absl::StrCat(dir_, "/cache/ff02-eth0"), 0);
  EXPECT_OK(network_->Teardown(request, Soon()));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(PodNetworkTest, SandboxesAtOnceGetAddressesOfTheirOwn) {
  constexpr int kSandboxes = 6;
  std::vector<NetworkRequest> requests;
  for (int i = 0; i < kSandboxes; ++i) requests.push_back(MakeSandbox(absl::StrCat("gg", i)));
  std::vector<absl::StatusOr<PodNetworkResult>> results(kSandboxes, absl::UnknownError("not run"));
  std::vector<std::thread> threads;
  for (int i = 0; i < kSandboxes; ++i)
    threads.emplace_back([&, i] { results[i] = network_->Setup(requests[i], Soon()); });
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> addresses;
  for (const auto& result : results) {
    ASSERT_OK(result);
    addresses.insert(result->ips.begin(), result->ips.end());
  }
  EXPECT_THAT(addresses, SizeIs(2 * kSandboxes));
}

TEST_F(PodNetworkTest, PodCidrReachesIpamAndSurvivesARestart) {
  WriteConfigText(absl::StrCat(R"({"cniVersion": "1.0.0", "name": "test", "plugins": [{"type": "bridge", "bridge": ")",
                               kBridge, R"(", "capabilities": {"ipRanges": true}, "ipam": {"type": "host-local",
                               "dataDir": ")",
                               dir_, R"(/ipam"}}]})"));
  network_->SetPodCidr("10.88.0.0/24,fd88::/64");
  network_ = MakeNetwork();
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(MakeSandbox("hh01"), Soon());
  ASSERT_OK(result);
  EXPECT_THAT(result->ips, ElementsAre("10.88.0.2", "fd88::2"));
}

TEST_F(PodNetworkTest, SetupSaysWhatIsMissing) {
  NetworkRequest request = Request("ii01");
  request.netns_path = absl::StrCat(dir_, "/nothing");
  EXPECT_THAT(network_->Setup(request, Soon()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no network namespace"));
  request = MakeSandbox("ii02");
  WriteConfig(R"(, {"type": "absent"})");
  for (const absl::Status& status : {network_->Setup(request, Soon()).status(), network_->Ready()})
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "CNI plugin absent is not in "));
  const std::string config = R"({"cniVersion": "1.1.0", "name": "test", "type": "ptp"})";
  WriteConfigText(config);  // Debian 12's plugins speak 1.0.0 at most; newer ones refuse it for its lack of ipam
  EXPECT_FALSE(network_->Setup(request, Soon()).ok());
  WriteConfigText(absl::StrReplaceAll(config, {{"1.1.0", "0.2.0"}}));
  EXPECT_THAT(network_->Ready(), StatusIs(absl::StatusCode::kFailedPrecondition, "0.2.0: supported are"));
  std::filesystem::remove_all(absl::StrCat(dir_, "/conf"));
  for (const absl::Status& status : {network_->Setup(request, Soon()).status(), network_->Ready()})
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "/conf: No such file or directory"));
}

TEST_F(PodNetworkTest, NamespacesAreMadeAndDeletedAnyNumberOfTimes) {
  const std::string path = *network_->CreateNamespace("jj01");
  EXPECT_EQ(path, absl::StrCat(dir_, "/netns/podvisor-jj01"));
  EXPECT_TRUE(IsNamespace(path));
  {
    const absl::StatusOr<UniqueFd> in_use = network_->OpenTap("jj01");
    ASSERT_OK(in_use);
    EXPECT_EQ(*network_->CreateNamespace("jj01"), path);  // while a VM uses the tap
    EXPECT_THAT(network_->OpenTap("jj01"), StatusIs(absl::StatusCode::kUnavailable, "in use"));
  }
  EXPECT_OK(network_->OpenTap("jj01"));
  EXPECT_OK(network_->DeleteNamespace("jj01"));
  EXPECT_OK(network_->DeleteNamespace("jj01"));
  EXPECT_TRUE(IsNamespace(*network_->CreateNamespace("jj01"))) << "not the one that is going";
  EXPECT_OK(network_->DeleteNamespace("jj01"));
  Settle();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_OK(network_->DeleteNamespace("jj01"));
  EXPECT_THAT(network_->OpenTap("jj01"), StatusIs(absl::StatusCode::kNotFound));

  // A kill between the file and the mount, or a reboot.
  std::ofstream(path).flush();
  EXPECT_THAT(*network_->ListNamespaces(), ElementsAre("jj01"));
  EXPECT_OK(network_->CreateNamespace("jj01"));
  EXPECT_OK(network_->OpenTap("jj01"));
  EXPECT_OK(network_->DeleteNamespace("jj01"));
  std::ofstream(path).flush();
  EXPECT_OK(network_->DeleteNamespace("jj01"));
  EXPECT_THAT(*network_->ListNamespaces(), IsEmpty());
}

TEST_F(PodNetworkTest, DeletingTakesTheLinksFromANamespaceThatIsStillHeld) {
  const NetworkRequest request = MakeSandbox("jj02");
  ASSERT_OK(network_->Setup(request, Soon()));
  const UniqueFd held(::open(request.netns_path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_OK(network_->DeleteNamespace("jj02"));
  Settle();
  const absl::StatusOr<std::string> links =
      RunTool({kIp, "-o", "link"}, absl::StrCat("/proc/", ::getpid(), "/fd/", held.get()));
  ASSERT_OK(links);
  EXPECT_THAT(*links, Not(HasSubstr("eth0")));
  EXPECT_THAT(*links, Not(HasSubstr(kPodTap)));
}

TEST_F(PodNetworkTest, IdsThatAreNoNamesAreRefused) {
  for (const char* id : {"", ".", "..", "a/b", "../a", "-a", "a b", "a;b", "a\n"}) {
    EXPECT_THAT(network_->CreateNamespace(id), StatusIs(absl::StatusCode::kInvalidArgument)) << id;
    EXPECT_THAT(network_->DeleteNamespace(id), StatusIs(absl::StatusCode::kInvalidArgument)) << id;
    EXPECT_THAT(network_->OpenTap(id), StatusIs(absl::StatusCode::kInvalidArgument)) << id;
    EXPECT_THAT(network_->Setup(Request(id), Soon()), StatusIs(absl::StatusCode::kInvalidArgument)) << id;
    EXPECT_THAT(network_->Teardown(Request(id), Soon()), StatusIs(absl::StatusCode::kInvalidArgument)) << id;
    EXPECT_THAT(network_->Load(Request(id)), StatusIs(absl::StatusCode::kInvalidArgument)) << id;
  }
  EXPECT_THAT(network_->CreateNamespace(std::string(129, 'a')), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(PodNetworkTest, InterworkingNoneJoinsNothing) {
  network_ = MakeNetwork("none");
  const NetworkRequest request = MakeSandbox("kk01");
  const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
  ASSERT_OK(result);
  EXPECT_THAT(result->interfaces, IsEmpty());
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.2", "fd77::2"));
  EXPECT_THAT(network_->OpenTap("kk01"), StatusIs(absl::StatusCode::kFailedPrecondition, "no tap"));
}

TEST(PodNetworkOptionsTest, AreChecked) {
  PodNetworkOptions good;
  good.cni_conf_dir = "/c";
  good.cni_bin_dirs = {"/b"};
  good.cni_cache_dir = absl::StrCat(testing::TempDir(), "/options/cache");
  good.netns_dir = absl::StrCat(testing::TempDir(), "/options/netns");
  EXPECT_OK(PodNetwork::Create(good));
  const auto refuses = [&](void (*change)(PodNetworkOptions&), const std::string& error) {
    PodNetworkOptions options = good;
    change(options);
    EXPECT_THAT(PodNetwork::Create(options), StatusIs(absl::StatusCode::kInvalidArgument, error));
  };
  refuses([](PodNetworkOptions& options) { options.interworking = "bridge"; }, "tcfilter, macvtap and none");
  refuses([](PodNetworkOptions& options) { options.cni_conf_dir = "c"; }, "cni_conf_dir");
  refuses([](PodNetworkOptions& options) { options.cni_bin_dirs.clear(); }, "cni_bin_dirs");
  refuses([](PodNetworkOptions& options) { options.netns_dir = ""; }, "netns_dir");
  std::filesystem::remove_all(absl::StrCat(testing::TempDir(), "/options"));
}

}  // namespace
}  // namespace podvisor
