// The built-in plugins beside the programs of the same names, and what the programs have no counterpart for.

#include "netns/builtin/builtin_plugins.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "netns/testing/pod_network_fixture.h"
#include "netns/testing/private_host.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kNft[] = "/usr/sbin/nft";

class BuiltinPluginsTest : public PodNetworkFixture {
 protected:
  void SetUp() override {
    ChosenPlugins() = Plugins::kBuiltin;
    PodNetworkFixture::SetUp();
  }

  // One plugin bridge; `fields` are its own, `ipam` those of its IPAM beside type and dataDir.
  std::string BridgeConfig(const std::string& fields, const std::string& ipam, const std::string& version = "1.0.0") {
    return absl::StrReplaceAll(
        R"({"cniVersion": "VERSION", "name": "test", "plugins": [
      {"type": "bridge", "bridge": "BRIDGE", FIELDS "ipam": {"type": "host-local", "dataDir": "DIR/ipam", IPAM}},
      {"type": "portmap", "capabilities": {"portMappings": true}}]})",
        {{"VERSION", version}, {"BRIDGE", kBridge}, {"DIR", dir_}, {"FIELDS", fields}, {"IPAM", ipam}});
  }

  // What ADD printed, without what differs from call to call (MACs, the host's end), and what it made.
  nlohmann::json ResultOf(Plugins plugins, const std::string& id) {
    ChosenPlugins() = plugins;
    network_ = MakeNetwork();
    const NetworkRequest request = MakeSandbox(id);
    const absl::StatusOr<PodNetworkResult> result = network_->Setup(request, Soon());
    EXPECT_OK(result);
    const std::string cache = ReadFile(absl::StrCat(dir_, "/cache/", id, "-eth0"), 1 << 20).value_or("{}");
    nlohmann::json json = {{"cni", nlohmann::json::parse(cache)["result"]}};
    for (nlohmann::json& interface : json["cni"]["interfaces"]) {
      EXPECT_EQ(interface["mac"].get<std::string>().size(), 17u);
      interface.erase("mac");
      if (interface.contains("sandbox")) interface["sandbox"] = interface["sandbox"] == request.netns_path;
      if (interface["name"].get<std::string>().rfind("veth", 0) == 0) interface["name"] = "veth";
    }
    if (result.ok()) {
      json["addresses"] = result->interfaces[0].addresses;
      json["mtu"] = result->interfaces[0].mtu;
      for (const GuestRoute& route : result->routes)
        json["routes"].push_back(absl::StrCat(route.destination, " via ", route.gateway, " scope ", route.scope));
      std::sort(json["routes"].begin(), json["routes"].end());
    }
    json["bridge"] = Words("addr show dev pvtest0");
    json["port"] = Words("-d link show master pvtest0");
    json["forward"] = ReadFile("/proc/sys/net/ipv4/ip_forward", 8).value_or("");
    EXPECT_OK(network_->Teardown(request, Soon()));
    EXPECT_OK(network_->DeleteNamespace(id));
    Settle();
    RunTool({"/usr/sbin/ip", "link", "delete", kBridge}).IgnoreError();
    return json;
  }

  // What `ip` says of addresses and settings that a configuration decides about.
  static std::vector<std::string> Words(const std::string& command) {
    std::vector<std::string> argv = {"/usr/sbin/ip"};
    for (absl::string_view word : absl::StrSplit(command, ' ')) argv.emplace_back(word);
    const std::string text = RunTool(argv).value_or("");
    const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
    std::vector<std::string> kept;
    for (size_t i = 0; i + 1 < words.size(); ++i)
      for (const char* key : {"inet", "inet6", "mtu", "hairpin", "promiscuity"}) {
        if (words[i] != key || words[i + 1].rfind("fe80", 0) == 0) continue;
        kept.push_back(absl::StrCat(key, " ", words[i + 1]));
      }
    return kept;
  }

  absl::StatusOr<PodNetworkResult> Setup(const std::string& id, std::vector<PortMapping> ports = {}) {
    NetworkRequest request = MakeSandbox(id);
    request.port_mappings = std::move(ports);
    requests_.back() = request;
    return network_->Setup(request, Soon());
  }
};

struct Case {
  const char* name;
  const char* fields;
  const char* ipam;
  const char* version;
};

class SameResultTest : public BuiltinPluginsTest, public testing::WithParamInterface<Case> {};

TEST_P(SameResultTest, AsTheProgramsGive) {
  WriteConfigText(
      BridgeConfig(GetParam().fields, absl::StrReplaceAll(GetParam().ipam, {{"DIR", dir_}}), GetParam().version));
  const nlohmann::json programs = ResultOf(Plugins::kPrograms, "programs");
  const nlohmann::json builtin = ResultOf(Plugins::kBuiltin, "builtin");
  for (const auto& [key, value] : programs.items()) {
    if (key == "cni") continue;
    EXPECT_EQ(builtin[key], value) << key;
  }
  for (const auto& [field, value] : programs["cni"].items()) {
    EXPECT_EQ(builtin["cni"][field], value) << field;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, SameResultTest,
    testing::Values(Case{"Plain", "", R"("subnet": "10.77.0.0/24")", "1.0.0"},
                    Case{"Old", R"("isGateway": true,)",
                         R"("subnet": "10.77.0.0/24", "routes": [{"dst": "0.0.0.0/0"}])", "0.4.0"},
                    Case{"Older", R"("isGateway": true,)", R"("subnet": "10.77.0.0/24")", "0.3.1"},
                    Case{"DefaultGateway", R"("isDefaultGateway": true, "ipMasq": true,)",
                         R"("ranges": [[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]])", "1.0.0"},
                    Case{"RangeAndGateway", R"("isGateway": true, "mtu": 1300,)",
                         R"("ranges": [[{"subnet": "10.77.0.0/16", "rangeStart": "10.77.3.7", "rangeEnd": "10.77.3.9",
                             "gateway": "10.77.255.1"}]],
                "routes": [{"dst": "10.1.0.0/16"}, {"dst": "10.2.0.0/16", "gw": "10.77.9.9"}])",
                         "1.0.0"},
                    Case{"Hairpin", R"("hairpinMode": true,)", R"("subnet": "10.77.0.0/24")", "1.0.0"},
                    Case{"Promiscuous", R"("promiscMode": true,)", R"("subnet": "10.77.0.0/24")", "1.0.0"},
                    Case{"Dns", R"("dns": {"nameservers": ["10.0.0.8"], "domain": "x.example"},)",
                         R"("subnet": "10.77.0.0/24")", "1.0.0"}),
    [](const auto& test) { return test.param.name; });

// The program does since 1.2; Debian's 1.1.1 forgets it.
TEST_F(BuiltinPluginsTest, IpamsDnsIsTheNetworksWhereThatHasNone) {
  const std::string file = absl::StrCat(dir_, "/resolv.conf");
  std::ofstream(file) << "nameserver 10.0.0.9\nsearch a.example b.example\n";
  WriteConfigText(BridgeConfig("", absl::StrCat(R"("subnet": "10.77.0.0/24", "resolvConf": ")", file, "\"")));
  const absl::StatusOr<PodNetworkResult> result = Setup("aa02");
  ASSERT_OK(result);
  EXPECT_THAT(result->dns_servers, ElementsAre("10.0.0.9"));
  EXPECT_THAT(result->dns_searches, ElementsAre("a.example", "b.example"));
}

TEST_F(BuiltinPluginsTest, WhatIsNotDoneIsRefusedByName) {
  for (const char* field : {"\"vlan\": 100,", "\"macspoofchk\": true,", "\"enabledad\": true,"}) {
    WriteConfigText(BridgeConfig(field, R"("subnet": "10.77.0.0/24")"));
    EXPECT_THAT(network_->Setup(MakeSandbox("aa01"), Soon()),
                StatusIs(absl::StatusCode::kFailedPrecondition, "the built-in bridge does not do \""));
  }
  WriteConfigText(BridgeConfig("", R"("subnet": "10.77.0.1/24")"));
  EXPECT_THAT(network_->Setup(MakeSandbox("aa01"), Soon()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "host bits"));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(BuiltinPluginsTest, AFullRangeSaysSoAndServesAgainWhenAPodGoes) {
  WriteConfigText(BridgeConfig("", R"("subnet": "10.77.0.0/29")"));  // .1 is the gateway's: five are left
  for (int i = 0; i < 5; ++i) ASSERT_OK(Setup(absl::StrCat("bb", i)));
  EXPECT_THAT(Setup("bb5"), StatusIs(absl::StatusCode::kResourceExhausted,
                                     "network test has no free address left in 10.77.0.1-10.77.0.6"));
  EXPECT_OK(network_->Teardown(requests_[2], Soon()));
  const absl::StatusOr<PodNetworkResult> result = Setup("bb6");  // waits for what goes in the background
  ASSERT_OK(result);
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.4"));
}

TEST_F(BuiltinPluginsTest, AddressesAreGivenInTurn) {
  WriteConfigText(BridgeConfig("", R"("ranges": [[{"subnet": "10.77.0.0/24", "rangeEnd": "10.77.0.3"},
                                                  {"subnet": "10.78.0.0/24", "rangeEnd": "10.78.0.2"}]])"));
  std::vector<std::string> given;
  for (int i = 0; i < 4; ++i) {
    const absl::StatusOr<PodNetworkResult> result = Setup("cc");
    ASSERT_OK(result);
    given.push_back(result->ips[0]);
    ASSERT_OK(network_->Teardown(requests_.back(), Soon()));
    network_ = MakeNetwork();  // a restart forgets no turn
  }
  EXPECT_THAT(given, ElementsAre("10.77.0.2", "10.77.0.3", "10.78.0.2", "10.77.0.2"));
}

TEST_F(BuiltinPluginsTest, WhatTheProgramReservedIsLeftAlone) {
  const std::string folder = absl::StrCat(dir_, "/ipam/test");
  std::filesystem::create_directories(folder);
  std::ofstream(absl::StrCat(folder, "/10.77.0.2")) << "somebody\r\neth0";
  const absl::StatusOr<PodNetworkResult> result = Setup("dd01");
  ASSERT_OK(result);
  EXPECT_EQ(result->ips[0], "10.77.0.3");
  // And the other way round.
  EXPECT_EQ(ReadFile(absl::StrCat(folder, "/10.77.0.3"), 100).value_or(""), "dd01\r\neth0");
  ASSERT_OK(network_->Teardown(requests_.back(), Soon()));
  EXPECT_THAT(Leases(), ElementsAre("10.77.0.2"));
  std::filesystem::remove(absl::StrCat(folder, "/10.77.0.2"));
}

// What a kill at any moment leaves: leases without a cache entry, before or after an ADD.
TEST_F(BuiltinPluginsTest, LeasesThatNoPodExplainsAreGivenBackAtStart) {
  ASSERT_OK(Setup("ee01", {{"tcp", 80, 18001, ""}}));
  ASSERT_OK(Setup("ee02"));
  EXPECT_THAT(Leases(), SizeIs(4));
  std::filesystem::remove(absl::StrCat(dir_, "/cache/ee01-eth0"));
  network_ = MakeNetwork();
  EXPECT_THAT(Leases(), SizeIs(2));
  EXPECT_THAT(Snapshot(), Not(HasSubstr("18001")));
  EXPECT_OK(network_->Check(requests_[1], Soon()));
}

TEST_F(BuiltinPluginsTest, AFlushedFirewallIsNoticedAndMadeAnew) {
  ASSERT_OK(Setup("ff01", {{"udp", 53, 18053, ""}}));
  ASSERT_OK(RunTool({kNft, "flush", "ruleset"}));
  EXPECT_THAT(network_->Check(requests_[0], Soon()), StatusIs(absl::StatusCode::kInternal, "nftables"));
  ASSERT_OK(Setup("ff02"));  // which finds the tables missing
  EXPECT_THAT(Snapshot(), HasSubstr("18053"));
  ASSERT_OK(RunTool({kNft, "flush", "ruleset"}));
  EXPECT_OK(network_->Teardown(requests_[1], Soon()));
  network_ = MakeNetwork();
  EXPECT_OK(network_->Check(requests_[0], Soon()));
}

TEST_F(BuiltinPluginsTest, AHostPortHasOnePod) {
  ASSERT_OK(Setup("gg01", {{"tcp", 80, 18001, ""}, {"tcp", 81, 18002, "127.0.0.1"}}));
  EXPECT_THAT(Setup("gg02", {{"tcp", 80, 18001, ""}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, "host port 18001 belongs to the pod with 10.77.0.2"));
  EXPECT_OK(Setup("gg03", {{"udp", 80, 18001, ""}, {"tcp", 80, 18002, "127.0.0.2"}, {"sctp", 80, 18001, ""}}));
  EXPECT_OK(network_->Teardown(requests_[0], Soon()));
  EXPECT_OK(Setup("gg04", {{"tcp", 80, 18001, ""}}));
}

// Switching the setting: each pod goes by what it came by.
TEST_F(BuiltinPluginsTest, PodsOfBothKindsLiveSideBySide) {
  ASSERT_OK(Setup("hh01"));
  ChosenPlugins() = Plugins::kPrograms;
  network_ = MakeNetwork();
  const absl::StatusOr<PodNetworkResult> program = Setup("hh02");
  ASSERT_OK(program);
  EXPECT_EQ(program->ips[0], "10.77.0.3");
  EXPECT_OK(network_->Check(requests_[0], Soon()));
  EXPECT_OK(network_->Teardown(requests_[0], Soon()));
  ChosenPlugins() = Plugins::kBuiltin;
  network_ = MakeNetwork();
  EXPECT_OK(network_->Check(requests_[1], Soon()));
  EXPECT_OK(network_->Teardown(requests_[1], Soon()));
  EXPECT_THAT(Leases(), IsEmpty());
}

}  // namespace
}  // namespace podvisor
