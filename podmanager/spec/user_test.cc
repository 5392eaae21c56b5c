#include "podmanager/spec/user.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

constexpr char kPasswd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "bad:x:zero:0::/:/bin/sh\n"
    "www:x:33:33:www:/var/www:/sbin/nologin\n"
    "app:x:1000:1001:App:/home/app:/bin/sh\n"
    "nohome:x:1002:1002::relative:/bin/sh\n";
constexpr char kGroup[] =
    "root:x:0:root\n"
    "www:x:33:\n"
    "app:x:1001:\n"
    "disk:x:6:root,app\n"
    "audio:x:29:app\n"
    "short:x\n"
    "staff:x:50:apple\n";

struct Case {
  std::string name;
  User run_as;
  std::string image_user;
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string error;  // part of the message
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
  std::string home;
};

User Make(std::optional<int64_t> uid, std::optional<int64_t> gid, std::string name = "",
          std::vector<int64_t> groups = {}, bool strict = false) {
  User user;
  if (uid) user.set_uid(*uid);
  if (gid) user.set_gid(*gid);
  user.set_username(name);
  for (int64_t group : groups) user.add_supplemental_groups(group);
  user.set_strict_supplemental_groups(strict);
  return user;
}

class UserTest : public testing::TestWithParam<Case> {};

TEST_P(UserTest, IsResolvedInTheImage) {
  const Case& c = GetParam();
  const std::string passwd = kPasswd, group = kGroup;
  auto user = ResolveUser(c.run_as, c.image_user, UserDatabase{passwd, group, "busybox:1"});
  if (c.code != absl::StatusCode::kOk) {
    EXPECT_THAT(user, StatusIs(c.code, c.error));
    return;
  }
  ASSERT_OK(user);
  EXPECT_EQ(user->uid, c.uid);
  EXPECT_EQ(user->gid, c.gid);
  EXPECT_EQ(user->groups, c.groups);
  EXPECT_EQ(user->home, c.home);
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kMissing = absl::StatusCode::kNotFound;
constexpr auto kFine = absl::StatusCode::kOk;

INSTANTIATE_TEST_SUITE_P(
    Users, UserTest,
    testing::Values(
        Case{"Nothing", {}, "", kFine, "", 0, 0, {0, 6}, "/root"},
        Case{"ImageName", {}, "app", kFine, "", 1000, 1001, {1001, 6, 29}, "/home/app"},
        Case{"ImageNameAndGroup", {}, "app:www", kFine, "", 1000, 33, {33, 6, 29}, "/home/app"},
        Case{"ImageNumber", {}, "33", kFine, "", 33, 33, {33}, "/var/www"},
        Case{"ImageNumberUnlisted", {}, "4711", kFine, "", 4711, 0, {0}, "/"},
        Case{"ImageNumbers", {}, "4711:4712", kFine, "", 4711, 4712, {4712}, "/"},
        Case{"ImageNumberGroupName", {}, "4711:disk", kFine, "", 4711, 6, {6}, "/"},
        Case{"RelativeHome", {}, "nohome", kFine, "", 1002, 1002, {1002}, "/"},
        Case{"ImageNameMissing", {}, "bob", kMissing, "user \"bob\" is not in /etc/passwd of image busybox:1"},
        Case{"ImageGroupMissing", {}, "app:bobs", kMissing, "group \"bobs\" is not in /etc/group of image busybox:1"},
        Case{"MalformedEntryIsNone", {}, "bad", kMissing, "\"bad\""},
        Case{"ImageNumberTooLarge", {}, "4294967295", kInvalid, "user 4294967295"},
        Case{"RunAsUserWins", Make(33, {}), "app:root", kFine, "", 33, 33, {33}, "/var/www"},
        Case{"RunAsNameWins", Make({}, {}, "www"), "app", kFine, "", 33, 33, {33}, "/var/www"},
        Case{"RunAsNameMissing", Make({}, {}, "bob"), "app", kMissing, "\"bob\""},
        Case{"RunAsGroup", Make(1000, 5), "", kFine, "", 1000, 5, {5, 6, 29}, "/home/app"},
        Case{"RunAsGroupAlone", Make({}, 5), "app", kInvalid, "run_as_group 5 without"},
        Case{"RunAsUserZero", Make(0, {}), "app", kFine, "", 0, 0, {0, 6}, "/root"},
        Case{"Negative", Make(-1, {}), "", kInvalid, "run_as_user -1"},
        Case{"GroupTooLarge", Make(1, int64_t{1} << 32), "", kInvalid, "run_as_group 4294967296"},
        Case{"Supplemental", Make(1000, {}, "", {6, 77}), "", kFine, "", 1000, 1001, {1001, 6, 29, 77}, "/home/app"},
        Case{"SupplementalStrict", Make(1000, {}, "", {77}, true), "", kFine, "", 1000, 1001, {1001, 77}, "/home/app"},
        Case{"SupplementalNegative", Make(1000, {}, "", {-5}), "", kInvalid, "supplemental group -5"}),
    [](const auto& info) { return info.param.name; });

TEST(ImageWithoutFilesTest, OnlyNumbersWork) {
  const std::string none;
  auto user = ResolveUser(Make(7, 8), "", UserDatabase{none, none, "scratch"});
  ASSERT_OK(user);
  EXPECT_EQ(user->uid, 7u);
  EXPECT_EQ(user->gid, 8u);
  EXPECT_THAT(ResolveUser({}, "root", UserDatabase{none, none, "scratch"}), StatusIs(kMissing, "scratch"));
}

}  // namespace
}  // namespace podvisor
