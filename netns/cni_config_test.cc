#include "netns/cni_config.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct BadCase {
  const char* name;
  std::string text;
  const char* error;  // part of it
};

class BadCniConfigTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadCniConfigTest, IsRefusedWithAReason) {
  EXPECT_THAT(ParseCniConfig(GetParam().text, "f"),
              StatusIs(absl::StatusCode::kInvalidArgument, std::string(GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadCniConfigTest,
    testing::Values(
        BadCase{"Empty", "", "it is empty"}, BadCase{"Blank", " \n\t", "it is empty"},
        BadCase{"Truncated", R"({"name": "a", "cniVersion")", "not JSON"},
        BadCase{"TrailingGarbage", R"({"name": "a"} x)", "not JSON"}, BadCase{"Binary", "\xff\xfe{}", "not JSON"},
        BadCase{"BadUtf8", "{\"name\": \"\xff\"}", "not JSON"}, BadCase{"List", "[]", "no object"},
        BadCase{"TooDeep", std::string(100000, '['), "JSON"},
        BadCase{"TooDeepButWhole", absl::StrCat("{\"a\":", std::string(1000, '['), std::string(1000, ']'), "}"),
                "deeper"},
        BadCase{"NoName", R"({"cniVersion": "1.0.0", "type": "x"})", "\"name\" is \"\""},
        BadCase{"NameWithSlash", R"({"cniVersion": "1.0.0", "name": "../x", "type": "x"})", "\"name\" is \"../x\""},
        BadCase{"NameIsNumber", R"({"cniVersion": "1.0.0", "name": 7, "type": "x"})", "\"name\" is no string"},
        BadCase{"NoVersion", R"({"name": "a", "type": "x"})", "means 0.1.0"},
        BadCase{"Version01", R"({"cniVersion": "0.1.0", "name": "a", "type": "x"})", "0.1.0: supported are"},
        BadCase{"Version02", R"({"cniVersion": "0.2.0", "name": "a", "type": "x"})", "0.2.0: supported are"},
        BadCase{"Version2", R"({"cniVersion": "2.0.0", "name": "a", "type": "x"})", "2.0.0: supported are"},
        BadCase{"VersionIsList", R"({"cniVersion": ["1.0.0"], "name": "a", "type": "x"})",
                "\"cniVersion\" is no string"},
        BadCase{"NoType", R"({"cniVersion": "1.0.0", "name": "a"})", "\"type\" is missing"},
        BadCase{"TypeWithSlash", R"({"cniVersion": "1.0.0", "name": "a", "type": "../sh"})", "no name of a program"},
        BadCase{"TypeIsDots", R"({"cniVersion": "1.0.0", "name": "a", "type": ".."})", "no name of a program"},
        BadCase{"TypeWithNul", R"({"cniVersion": "1.0.0", "name": "a", "type": "a\u0000b"})", "no name of a program"},
        BadCase{"NoPlugins", R"({"cniVersion": "1.0.0", "name": "a", "plugins": []})", "at least one plugin"},
        BadCase{"PluginsIsObject", R"({"cniVersion": "1.0.0", "name": "a", "plugins": {}})", "at least one plugin"},
        BadCase{"PluginIsString", R"({"cniVersion": "1.0.0", "name": "a", "plugins": ["x"]})", "plugin 1: it is no"},
        BadCase{"SecondPluginBad", R"({"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "x"}, {}]})",
                "plugin 2: \"type\" is missing"},
        BadCase{"CapabilitiesIsList", R"({"cniVersion": "1.0.0", "name": "a", "type": "x", "capabilities": []})",
                "\"capabilities\" is no object"}),
    [](const auto& test) { return test.param.name; });

TEST(CniConfigTest, ReadsAList) {
  const absl::StatusOr<CniNetworkConfig> config = ParseCniConfig(R"({
    "cniVersion": "0.4.0", "name": "pods.v1", "disableCheck": true, "plugins": [
      {"type": "bridge", "mtu": 1400},
      {"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": false, "dns": "yes"}}]})",
                                                                 "/etc/x.conflist");
  ASSERT_OK(config);
  EXPECT_EQ(config->name, "pods.v1");
  EXPECT_EQ(config->cni_version, "0.4.0");
  EXPECT_EQ(config->file, "/etc/x.conflist");
  ASSERT_EQ(config->plugins.size(), 2u);
  EXPECT_EQ(config->plugins[0].type, "bridge");
  EXPECT_EQ(config->plugins[0].json, R"({"mtu":1400,"type":"bridge"})");
  EXPECT_THAT(config->plugins[1].capabilities, ElementsAre("portMappings"));
}

TEST(CniConfigTest, ReadsASinglePlugin) {
  const absl::StatusOr<CniNetworkConfig> config =
      ParseCniConfig(R"({"cniVersion": "0.3.1", "name": "a", "type": "ptp", "ipam": {}})", "f");
  ASSERT_OK(config);
  ASSERT_EQ(config->plugins.size(), 1u);
  EXPECT_EQ(config->plugins[0].type, "ptp");
}

TEST(CniConfigTest, TakesTheHighestVersionOffered) {
  const auto version = [](const std::string& members) {
    const absl::StatusOr<CniNetworkConfig> config =
        ParseCniConfig(absl::StrCat(R"({"name": "a", "type": "x", )", members, "}"), "f");
    return config.ok() ? config->cni_version : config.status().ToString();
  };
  EXPECT_EQ(version(R"("cniVersion": "0.4.0", "cniVersions": ["0.3.1", "1.0.0", "7.0.0"])"), "1.0.0");
  EXPECT_EQ(version(R"("cniVersion": "0.4.0", "cniVersions": [7, "0.1.0"])"), "0.4.0");
  EXPECT_EQ(version(R"("cniVersion": "1.1.0")"), "1.1.0");
}

class ChooseCniConfigTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir_); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& text) { std::ofstream(absl::StrCat(dir_, "/", name)) << text; }
  void WriteNetwork(const std::string& file, const std::string& name) {
    Write(file, absl::StrCat(R"({"cniVersion": "1.0.0", "type": "x", "name": ")", name, "\"}"));
  }

  const std::string dir_ = absl::StrCat(testing::TempDir(), "/choose_cni_config");
};

TEST_F(ChooseCniConfigTest, TakesTheFirstByName) {
  WriteNetwork("20-b.conf", "b");
  WriteNetwork("10-c.json", "c");
  WriteNetwork("30-a.conflist", "a");
  WriteNetwork("00-not.txt", "not");
  WriteNetwork("00-not.conf.bak", "not");
  const absl::StatusOr<CniConfigChoice> choice = ChooseCniConfig(dir_);
  ASSERT_OK(choice);
  EXPECT_EQ(choice->network.name, "c");
  EXPECT_THAT(choice->skipped, IsEmpty());
}

TEST_F(ChooseCniConfigTest, SkipsInvalidFilesAndSaysSo) {
  Write("10-broken.conf", "{");
  std::filesystem::create_directories(absl::StrCat(dir_, "/15-folder.conf"));
  WriteNetwork("20-good.conf", "good");
  const absl::StatusOr<CniConfigChoice> choice = ChooseCniConfig(dir_);
  ASSERT_OK(choice);
  EXPECT_EQ(choice->network.name, "good");
  EXPECT_THAT(choice->skipped, ElementsAre(HasSubstr("10-broken.conf: not JSON"), HasSubstr("15-folder.conf")));
}

TEST_F(ChooseCniConfigTest, NamesEveryInvalidFileWhereNoneIsValid) {
  Write("10-broken.conf", "{");
  Write("20-old.conflist", R"({"cniVersion": "0.2.0", "name": "a", "type": "x"})");
  const absl::StatusOr<CniConfigChoice> choice = ChooseCniConfig(dir_);
  EXPECT_THAT(choice, StatusIs(absl::StatusCode::kFailedPrecondition, "10-broken.conf: not JSON"));
  EXPECT_THAT(choice, StatusIs(absl::StatusCode::kFailedPrecondition, "20-old.conflist: \"cniVersion\" is 0.2.0"));
}

TEST_F(ChooseCniConfigTest, SaysWhereItLooked) {
  EXPECT_THAT(ChooseCniConfig(dir_), StatusIs(absl::StatusCode::kFailedPrecondition, dir_));
  EXPECT_THAT(ChooseCniConfig(dir_ + "/missing"),
              StatusIs(absl::StatusCode::kFailedPrecondition, dir_ + "/missing: No such file or directory"));
}

}  // namespace
}  // namespace podvisor
