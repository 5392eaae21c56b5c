// ADD, DEL and CHECK with plugins that the test writes: they note every call and do as a file of theirs says.

#include "netns/cni_network.h"

#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "netns/cni_cache.h"
#include "netns/cni_versions.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CniNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_);
    for (const char* plugin : {"one", "two", "three"}) WritePlugin(plugin, R"(printf '{"cniVersion":"1.0.0"}')");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // A shell script; `body` runs after the call has been noted, its input kept in DIR/NAME.COMMAND.
  void WritePlugin(const std::string& name, const std::string& body) {
    const std::string path = absl::StrCat(dir_, "/", name);
    std::ofstream(path) << absl::StrReplaceAll(R"(#!/bin/sh
echo "NAME $CNI_COMMAND" >> DIR/calls
cat > DIR/NAME.$CNI_COMMAND
env > DIR/NAME.env
BODY
)",
                                               {{"NAME", name}, {"DIR", dir_}, {"BODY", body}});
    ::chmod(path.c_str(), 0755);
  }

  CniAttachment Attachment(const std::string& version = "1.0.0") {
    CniAttachment attachment;
    absl::StatusOr<CniNetworkConfig> network = ParseCniConfig(
        absl::StrCat(R"({"name": "net", "cniVersion": ")", version, R"(", "plugins": [{"type": "one", "x": 1},
          {"type": "two", "capabilities": {"portMappings": true, "dns": true}}, {"type": "three"}]})"),
        "f.conflist");
    EXPECT_OK(network);
    attachment.network = *std::move(network);
    attachment.environment = {
        "box1", "/run/netns/box1", "eth0", "IgnoreUnknown=1;K8S_POD_NAME=web", {"/nowhere", dir_}};
    return attachment;
  }

  static CniDeadline Generous() { return {absl::Minutes(1), absl::InfiniteFuture()}; }

  std::string File(const std::string& name) { return ReadFile(absl::StrCat(dir_, "/", name), 1 << 20).value_or(""); }
  nlohmann::json Input(const std::string& name) { return nlohmann::json::parse(File(name), nullptr, false); }

  const std::string dir_ = absl::StrCat(testing::TempDir(), "/cni_network");
};

TEST_F(CniNetworkTest, AddRunsEachPluginWithTheResultBefore) {
  WritePlugin("one", R"(printf '{"cniVersion":"1.0.0","by":"one"}')");
  WritePlugin("two", R"(printf '{"cniVersion":"1.0.0","by":"two"}')");
  CniAttachment attachment = Attachment();
  attachment.capability_args = R"({"portMappings": [{"hostPort": 80}], "bandwidth": {}})";
  ASSERT_OK(CniAdd(attachment, Generous()));
  EXPECT_EQ(File("calls"), "one ADD\ntwo ADD\nthree ADD\n");
  EXPECT_EQ(Input("one.ADD"),
            nlohmann::json::parse(R"({"type": "one", "x": 1, "name": "net", "cniVersion": "1.0.0"})"));
  EXPECT_EQ(Input("two.ADD")["prevResult"]["by"], "one");
  EXPECT_EQ(Input("two.ADD")["runtimeConfig"], nlohmann::json::parse(R"({"portMappings": [{"hostPort": 80}]})"));
  EXPECT_EQ(Input("three.ADD")["prevResult"]["by"], "two");
  EXPECT_FALSE(Input("three.ADD").contains("runtimeConfig"));
  EXPECT_EQ(attachment.result, R"({"cniVersion":"1.0.0"})");
}

TEST_F(CniNetworkTest, TellsThePluginByItsEnvironment) {
  CniAttachment attachment = Attachment();
  ASSERT_OK(CniAdd(attachment, Generous()));
  const std::string env = File("one.env");
  for (const char* line : {"CNI_COMMAND=ADD\n", "CNI_CONTAINERID=box1\n", "CNI_NETNS=/run/netns/box1\n",
                           "CNI_IFNAME=eth0\n", "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web\n"})
    EXPECT_THAT(env, HasSubstr(line));
  EXPECT_THAT(env, HasSubstr(absl::StrCat("CNI_PATH=/nowhere:", dir_, "\n")));
  EXPECT_THAT(env, HasSubstr("/usr/sbin"));
}

TEST_F(CniNetworkTest, DelRunsInReverseWithTheResultOfAdd) {
  CniAttachment attachment = Attachment();
  attachment.result = R"({"by": "all"})";
  ASSERT_OK(CniDel(attachment, Generous()));
  EXPECT_EQ(File("calls"), "three DEL\ntwo DEL\none DEL\n");
  EXPECT_EQ(Input("one.DEL")["prevResult"]["by"], "all");
}

TEST_F(CniNetworkTest, OldVersionsGetNoResultAtDelAndNoCheck) {
  CniAttachment attachment = Attachment("0.3.1");
  attachment.result = R"({"by": "all"})";
  ASSERT_OK(CniDel(attachment, Generous()));
  EXPECT_FALSE(Input("one.DEL").contains("prevResult"));
  ASSERT_OK(CniCheck(attachment, Generous()));
  EXPECT_THAT(File("calls"), Not(HasSubstr("CHECK")));
}

TEST_F(CniNetworkTest, CheckStopsAtTheFirstFailure) {
  WritePlugin("two", R"(printf '{"code": 999, "msg": "link gone"}'; exit 1)");
  const CniAttachment attachment = Attachment();
  EXPECT_THAT(CniCheck(attachment, Generous()), StatusIs(absl::StatusCode::kInternal, "plugin two CHECK: link gone"));
  EXPECT_EQ(File("calls"), "one CHECK\ntwo CHECK\n");
}

TEST_F(CniNetworkTest, DelGoesOnAfterAFailureAndNamesAll) {
  WritePlugin("three", "echo no such thing >&2; exit 3");
  WritePlugin("one", "exit 4");
  const absl::Status status = CniDel(Attachment(), Generous());
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInternal, "CNI plugin three DEL: exit code 3; stderr: no such thing"));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, "CNI plugin one DEL: exit code 4"));
  EXPECT_EQ(File("calls"), "three DEL\ntwo DEL\none DEL\n");
}

TEST_F(CniNetworkTest, DelOfAnUnknownContainerIsDone) {
  WritePlugin("two", R"(printf '{"code": 3, "msg": "unknown container"}'; exit 1)");
  EXPECT_OK(CniDel(Attachment(), Generous()));
}

struct FailureCase {
  const char* name;
  const char* body;  // of plugin two
  absl::StatusCode code;
  std::string error;
};

class CniFailureTest : public CniNetworkTest, public testing::WithParamInterface<FailureCase> {};

TEST_P(CniFailureTest, NamesNetworkAndPluginAndWhatItSaid) {
  WritePlugin("one", R"(printf '{"by":"one"}')");
  WritePlugin("two", GetParam().body);
  CniAttachment attachment = Attachment();
  const absl::Status status = CniAdd(attachment, Generous());
  EXPECT_THAT(status, StatusIs(GetParam().code, std::string("CNI network net: CNI plugin two ADD: ")));
  EXPECT_THAT(status, StatusIs(GetParam().code, GetParam().error));
  EXPECT_LT(status.message().size(), 4000u);
  EXPECT_EQ(File("calls"), "one ADD\ntwo ADD\n");
  EXPECT_EQ(attachment.result, R"({"by":"one"})");
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, CniFailureTest,
    testing::Values(
        FailureCase{"ErrorJson", R"(printf '{"code": 999, "msg": "no bridge", "details": "br7"}'; exit 1)",
                    absl::StatusCode::kInternal, "no bridge (CNI error 999; br7)"},
        FailureCase{"TryAgainLater", R"(printf '{"code": 11, "msg": "no address yet"}'; exit 1)",
                    absl::StatusCode::kUnavailable, "no address yet"},
        FailureCase{"BadConfiguration", R"(printf '{"code": 7, "msg": "bad ipam"}'; exit 1)",
                    absl::StatusCode::kFailedPrecondition, "bad ipam"},
        FailureCase{"PlainText", "echo it broke; echo because >&2; exit 9", absl::StatusCode::kInternal,
                    "exit code 9; stderr: because; stdout: it broke"},
        FailureCase{"Silent", "exit 1", absl::StatusCode::kInternal, "stderr: (nothing)"},
        FailureCase{"Killed", "kill -9 $$", absl::StatusCode::kInternal, "signal 9"},
        FailureCase{"ControlCharacters", R"(printf '\033[31m\nred\001' >&2; exit 1)", absl::StatusCode::kInternal,
                    "stderr: \\x1b[31m\\nred\\x01;"},
        FailureCase{"EmptyResult", "exit 0", absl::StatusCode::kInternal, "its result is unusable: it is empty"},
        FailureCase{"GarbageResult", "echo hello", absl::StatusCode::kInternal, "its result is unusable: not JSON"},
        FailureCase{"BadAddress", R"(printf '{"ips": [{"address": "x"}]}')", absl::StatusCode::kInternal,
                    "its result is unusable: ips: \"address\" is \"x\""},
        FailureCase{"HugeResult", "head -c 3000000 /dev/zero | tr '\\0' x", absl::StatusCode::kInternal,
                    "printed more than 1048576 bytes"},
        FailureCase{"HugeError", "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", absl::StatusCode::kInternal,
                    "xxxx"}),
    [](const auto& test) { return test.param.name; });

// The plugin and what it started are killed. Its child tells us its pid; whether it is dead the kernel knows.
TEST_F(CniNetworkTest, AHangingPluginIsKilledWithItsChildren) {
  WritePlugin("two", absl::StrCat("sleep 1000 &\necho $! > ", dir_, "/child\nwait"));
  CniAttachment attachment = Attachment();
  // The deadline may pass before the plugin has come as far as its child: then once more, with a longer one.
  int child = 0;
  for (absl::Duration limit = absl::Seconds(1); child == 0 && limit < absl::Minutes(1); limit *= 4) {
    const absl::Status status = CniAdd(attachment, {limit, absl::InfiniteFuture()});
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded, "CNI network net: CNI plugin two ADD"));
    if (!absl::SimpleAtoi(File("child"), &child)) child = 0;
  }
  ASSERT_NE(child, 0);
  // Killed, but perhaps not yet reaped by its new parent: a zombie has no command line.
  const std::string command = ReadFile(absl::StrCat("/proc/", child, "/cmdline"), 4096).value_or("");
  EXPECT_THAT(command, Not(HasSubstr("sleep")));
}

TEST_F(CniNetworkTest, TheCallersDeadlineCounts) {
  WritePlugin("one", "sleep 1000");
  CniAttachment attachment = Attachment();
  EXPECT_THAT(CniAdd(attachment, {absl::Hours(1), absl::Now() + absl::Milliseconds(200)}),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "plugin one ADD"));
}

TEST_F(CniNetworkTest, AMissingPluginIsNamedWithWhereItWasLookedFor) {
  std::filesystem::remove(absl::StrCat(dir_, "/two"));
  CniVersions versions;
  const absl::Status status = versions.Check(Attachment().network, {"/nowhere", dir_});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "CNI plugin two is not in /nowhere, " + dir_));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "containernetworking-plugins"));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "f.conflist"));
}

TEST_F(CniNetworkTest, WhatIsNoProgramIsMissing) {
  CniVersions versions;
  ::chmod(absl::StrCat(dir_, "/two").c_str(), 0644);
  EXPECT_THAT(versions.Check(Attachment().network, {dir_}), StatusIs(absl::StatusCode::kFailedPrecondition));
  std::filesystem::remove(absl::StrCat(dir_, "/two"));
  std::filesystem::create_directories(absl::StrCat(dir_, "/two"));
  EXPECT_THAT(versions.Check(Attachment().network, {dir_}), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(CniNetworkTest, PluginsAreAskedForTheirVersionsOnce) {
  WritePlugin("one", R"(printf '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}')");
  WritePlugin("three", "exit 1");  // an answer that says nothing passes
  CniVersions versions;
  EXPECT_OK(versions.Check(Attachment("1.0.0").network, {dir_}));
  EXPECT_OK(versions.Check(Attachment("0.4.0").network, {dir_}));
  EXPECT_EQ(File("calls"), "one VERSION\ntwo VERSION\nthree VERSION\n");
  EXPECT_THAT(versions.Check(Attachment("1.1.0").network, {dir_}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("has version 1.1.0, and plugin ", dir_, "/one speaks 0.4.0, 1.0.0")));
  // Renewed: asked again.
  WritePlugin("one", R"(printf '{"cniVersion":"1.0.0","supportedVersions":["1.0.0", "1.1.0"]}')");
  EXPECT_OK(versions.Check(Attachment("1.1.0").network, {dir_}));
}

TEST_F(CniNetworkTest, CacheKeepsAllThatDelNeeds) {
  CniCacheEntry entry;
  entry.attachment = Attachment();
  entry.attachment.capability_args = R"({"portMappings":[{"hostPort":80}]})";
  EXPECT_THAT(ReadCniCache(dir_, "box1", "eth0"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(WriteCniCache(dir_, entry));
  absl::StatusOr<CniCacheEntry> read = ReadCniCache(dir_, "box1", "eth0");
  ASSERT_OK(read);
  EXPECT_EQ(read->state, CniCacheState::kPending);
  EXPECT_EQ(read->attachment.result, "");

  entry.state = CniCacheState::kAdded;
  entry.attachment.result = R"({"by":"three"})";
  ASSERT_OK(WriteCniCache(dir_, entry));
  read = ReadCniCache(dir_, "box1", "eth0");
  ASSERT_OK(read);
  EXPECT_EQ(read->state, CniCacheState::kAdded);
  EXPECT_EQ(read->attachment.result, entry.attachment.result);
  EXPECT_EQ(read->attachment.capability_args, entry.attachment.capability_args);
  EXPECT_EQ(read->attachment.network.text, entry.attachment.network.text);
  EXPECT_EQ(read->attachment.network.file, "f.conflist");
  EXPECT_EQ(read->attachment.network.plugins.size(), 3u);
  EXPECT_EQ(read->attachment.environment.container_id, "box1");
  EXPECT_EQ(read->attachment.environment.netns, "/run/netns/box1");
  EXPECT_EQ(read->attachment.environment.args, entry.attachment.environment.args);

  ASSERT_OK(RemoveCniCache(dir_, "box1", "eth0"));
  ASSERT_OK(RemoveCniCache(dir_, "box1", "eth0"));
  EXPECT_THAT(ReadCniCache(dir_, "box1", "eth0"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CniNetworkTest, ADamagedCacheEntryIsDataLoss) {
  CniCacheEntry entry;
  entry.attachment = Attachment();
  ASSERT_OK(WriteCniCache(dir_, entry));
  const std::string good = File("box1-eth0");
  for (const std::string& text : {std::string(), std::string(100, '\0'), std::string("{}"), good.substr(0, 50),
                                  absl::StrReplaceAll(good, {{"pending", "perhaps"}}),
                                  absl::StrReplaceAll(good, {{"\"config\":\"", "\"config\":\"!!"}})}) {
    std::ofstream(absl::StrCat(dir_, "/box1-eth0")) << text;
    EXPECT_THAT(ReadCniCache(dir_, "box1", "eth0"), StatusIs(absl::StatusCode::kDataLoss, "box1-eth0")) << text;
  }
}

}  // namespace
}  // namespace podvisor
