#include "netns/cni_result.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kGood[] = R"({
  "cniVersion": "1.0.0",
  "interfaces": [{"name": "br0", "mac": "aa:aa:aa:aa:aa:aa"}, {"name": "veth1"},
                 {"name": "eth0", "sandbox": "/run/netns/x"}, {"name": "net1", "sandbox": "/run/netns/x"}],
  "ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 2}, {"address": "fd00::5/64", "interface": 2},
          {"address": "10.9.0.5/16", "interface": 3}, {"address": "10.8.0.1/16", "interface": 0}],
  "routes": [{"dst": "0.0.0.0/0"}],
  "dns": {"nameservers": ["10.1.0.1"], "search": ["a.example", "b.example"], "options": ["ndots:5"]}})";

TEST(CniResultTest, TakesTheAddressesOfThePodsInterface) {
  const absl::StatusOr<CniResult> result = ParseCniResult(kGood, "eth0");
  ASSERT_OK(result);
  EXPECT_THAT(result->addresses, ElementsAre("10.1.0.5/16", "fd00::5/64"));
  EXPECT_THAT(result->dns_servers, ElementsAre("10.1.0.1"));
  EXPECT_THAT(result->dns_searches, ElementsAre("a.example", "b.example"));
  EXPECT_THAT(result->dns_options, ElementsAre("ndots:5"));
}

TEST(CniResultTest, TakesAddressesWithoutAnInterface) {
  const absl::StatusOr<CniResult> result = ParseCniResult(
      R"({"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.1.0.5/16"},
          {"version": "4", "address": "10.1.0.6/16", "interface": -1},
          {"version": "4", "address": "10.1.0.7/16", "interface": null}]})",
      "eth0");
  ASSERT_OK(result);
  EXPECT_THAT(result->addresses, ElementsAre("10.1.0.5/16", "10.1.0.6/16", "10.1.0.7/16"));
}

TEST(CniResultTest, TheDomainIsSearchedWhereNothingElseIs) {
  const auto searches = [](const char* dns) {
    const absl::StatusOr<CniResult> result = ParseCniResult(absl::StrCat(R"({"dns": )", dns, "}"), "eth0");
    return result.ok() ? absl::StrJoin(result->dns_searches, " ") : result.status().ToString();
  };
  EXPECT_EQ(searches(R"({"domain": "a.example"})"), "a.example");
  EXPECT_EQ(searches(R"({"domain": "a.example", "search": ["b.example"]})"), "b.example");
  EXPECT_THAT(searches(R"({"domain": "a\nnameserver 6.6.6.6"})"), testing::HasSubstr("line break"));
}

TEST(CniResultTest, NothingIsAResultToo) {
  for (const char* text : {"{}", R"({"cniVersion": "1.0.0"})", R"({"ips": null, "dns": null})", R"({"ips": []})"}) {
    const absl::StatusOr<CniResult> result = ParseCniResult(text, "eth0");
    ASSERT_OK(result) << text;
    EXPECT_THAT(result->addresses, IsEmpty()) << text;
  }
}

TEST(CniResultTest, RefusesWhatIsNoResult) {
  const std::string many = absl::StrCat(R"({"ips": [)", absl::StrJoin(std::vector<std::string>(257, "{}"), ","), "]}");
  const std::string much_dns =
      absl::StrCat(R"({"dns": {"search": [)", absl::StrJoin(std::vector<std::string>(65, "\"a\""), ","), "]}}");
  const std::pair<std::string, const char*> cases[] = {
      {"", "it is empty"},
      {"\n", "it is empty"},
      {"hello", "not JSON"},
      {"{", "not JSON"},
      {"{} {}", "not JSON"},
      {"null", "no object"},
      {"[]", "no object"},
      {"7", "no object"},
      {std::string("{\0}", 3), "not JSON"},
      {std::string(1 << 20, '['), "JSON"},
      {absl::StrCat(R"({"a":)", std::string(1 << 19, '['), std::string(1 << 19, ']'), "}"), "deeper"},
      {R"({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/8"}})", "0.2.0"},
      {R"({"cniVersion": 1})", "\"cniVersion\" is no string"},
      {R"({"ips": {}})", "\"ips\" is no list"},
      {R"({"ips": "10.1.0.5/16"})", "\"ips\" is no list"},
      {R"({"ips": ["10.1.0.5/16"]})", "no object"},
      {R"({"ips": [{}]})", "no address"},
      {R"({"ips": [{"address": 5}]})", "\"address\" is no string"},
      {R"({"ips": [{"address": "10.1.0.5"}]})", "no address"},
      {R"({"ips": [{"address": "10.1.0.5/33"}]})", "no address"},
      {R"({"ips": [{"address": "10.1.0.5/-1"}]})", "no address"},
      {R"({"ips": [{"address": "10.1.0.5/"}]})", "no address"},
      {R"({"ips": [{"address": "10.1.0.256/16"}]})", "no address"},
      {R"({"ips": [{"address": "fd00::5/129"}]})", "no address"},
      {R"({"ips": [{"address": "fd00::g/64"}]})", "no address"},
      {R"({"ips": [{"address": "10.1.0.5/16; rm -rf /"}]})", "no address"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": 0}]})", "there is none"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": 18446744073709551615}], "interfaces": [{}]})",
       "there is none"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": 1.5}], "interfaces": [{}]})", "no whole number"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": "0"}], "interfaces": [{}]})", "no whole number"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": 0}], "interfaces": {}})", "there is none"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": 0}], "interfaces": [7]})", "no object"},
      {R"({"ips": [{"address": "10.1.0.5/16", "interface": 0}], "interfaces": [{"name": 7}]})", "no string"},
      {many, "257 entries"},
      {R"({"dns": []})", "\"dns\" is no object"},
      {R"({"dns": {"nameservers": "10.0.0.1"}})", "nameservers"},
      {R"({"dns": {"nameservers": [7]}})", "nameservers"},
      {R"({"dns": {"search": ["a\nnameserver 6.6.6.6"]}})", "line break"},
      {much_dns, "search"},
  };
  for (const auto& [text, error] : cases)
    EXPECT_THAT(ParseCniResult(text, "eth0"), StatusIs(absl::StatusCode::kInvalidArgument, std::string(error)))
        << text.substr(0, 200);
}

// Every prefix of a result, and every result with one byte changed: never a crash, and what is accepted is sane.
TEST(CniResultTest, SurvivesDamage) {
  const std::string good = kGood;
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(ParseCniResult(good.substr(0, size), "eth0").ok()) << size;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char byte : {'\0', '"', '{', ']', '9', '\xff'}) {
      std::string damaged = good;
      damaged[at] = byte;
      const absl::StatusOr<CniResult> result = ParseCniResult(damaged, "eth0");
      if (!result.ok()) continue;
      for (const std::string& address : result->addresses) EXPECT_NE(address.find('/'), std::string::npos);
      ParseCniError(damaged);
    }
  }
}

TEST(CniErrorTest, ReadsCodeMessageAndDetails) {
  const std::optional<CniError> error =
      ParseCniError(R"({"cniVersion": "1.0.0", "code": 11, "msg": "try later", "details": "no address"})");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, 11u);
  EXPECT_EQ(error->message, "try later");
  EXPECT_EQ(error->details, "no address");
}

TEST(CniErrorTest, IsNoneWithoutACode) {
  for (const char* text : {"", "boom", "{}", R"({"code": "7"})", R"({"code": -1})", R"({"msg": "x"})", "[7]"})
    EXPECT_FALSE(ParseCniError(text).has_value()) << text;
  const std::optional<CniError> odd = ParseCniError(R"({"code": 7, "msg": {}, "details": 7})");
  ASSERT_TRUE(odd.has_value());
  EXPECT_EQ(odd->message, "");
}

TEST(CniErrorTest, CodesTellWhatToDo) {
  EXPECT_EQ(CodeOfCniError(11), absl::StatusCode::kUnavailable);
  EXPECT_EQ(CodeOfCniError(7), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOfCniError(1), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOfCniError(5), absl::StatusCode::kInternal);
  EXPECT_EQ(CodeOfCniError(999), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace podvisor
