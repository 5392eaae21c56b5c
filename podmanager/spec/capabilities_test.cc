#include "podmanager/spec/capabilities.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

struct Case {
  std::string name;
  std::vector<std::string> add, drop, ambient;
  bool privileged = false;
  size_t count = 0;  // of the bounding set
  std::vector<std::string> has, lacks, has_ambient;
};

ContainerConfig Config(const Case& c) {
  ContainerConfig config;
  for (const auto& name : c.add) config.add_add_capabilities(name);
  for (const auto& name : c.drop) config.add_drop_capabilities(name);
  for (const auto& name : c.ambient) config.add_add_ambient_capabilities(name);
  config.set_privileged(c.privileged);
  return config;
}

std::set<std::string> Set(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return {names.begin(), names.end()};
}

class CapabilitiesTest : public testing::TestWithParam<Case> {};

TEST_P(CapabilitiesTest, AreBuilt) {
  const Case& c = GetParam();
  auto result = BuildCapabilities(Config(c));
  ASSERT_OK(result);
  const std::set<std::string> bounding = BoundingSet(*result);
  EXPECT_EQ(bounding.size(), c.count);
  EXPECT_EQ(static_cast<size_t>(result->bounding_size()), c.count) << "a name comes twice";
  for (const auto& name : c.has) EXPECT_EQ(bounding.count(name), 1u) << name;
  for (const auto& name : c.lacks) EXPECT_EQ(bounding.count(name), 0u) << name;
  EXPECT_EQ(Set(result->effective()), bounding);
  EXPECT_EQ(Set(result->permitted()), bounding);
  const std::set<std::string> ambient(c.has_ambient.begin(), c.has_ambient.end());
  EXPECT_EQ(Set(result->ambient()), ambient);
  EXPECT_EQ(Set(result->inheritable()), ambient);
}

INSTANTIATE_TEST_SUITE_P(
    Sets, CapabilitiesTest,
    testing::Values(
        Case{.name = "Default", .count = 14, .has = {"CAP_CHOWN", "CAP_AUDIT_WRITE"}, .lacks = {"CAP_SYS_ADMIN"}},
        Case{.name = "Add", .add = {"NET_ADMIN"}, .count = 15, .has = {"CAP_NET_ADMIN"}},
        Case{.name = "AddInAnyForm", .add = {"cap_net_admin", "CAP_NET_ADMIN"}, .count = 15},
        Case{.name = "Drop", .drop = {"CHOWN"}, .count = 13, .lacks = {"CAP_CHOWN"}},
        Case{.name = "DropAll", .drop = {"ALL"}, .count = 0},
        Case{.name = "DropAllAddOne", .add = {"KILL"}, .drop = {"all"}, .count = 1, .has = {"CAP_KILL"}},
        Case{.name = "AddAll", .add = {"ALL"}, .count = 41, .has = {"CAP_CHECKPOINT_RESTORE"}},
        Case{.name = "AddAllDropOne", .add = {"ALL"}, .drop = {"SYS_ADMIN"}, .count = 40, .lacks = {"CAP_SYS_ADMIN"}},
        Case{.name = "DropWins", .add = {"KILL"}, .drop = {"KILL"}, .count = 13, .lacks = {"CAP_KILL"}},
        Case{.name = "Privileged", .drop = {"KILL"}, .privileged = true, .count = 41, .has = {"CAP_KILL"}},
        Case{.name = "Ambient",
             .ambient = {"NET_BIND_SERVICE", "SYS_TIME"},
             .count = 15,
             .has = {"CAP_SYS_TIME"},
             .has_ambient = {"CAP_NET_BIND_SERVICE", "CAP_SYS_TIME"}}),
    [](const auto& info) { return info.param.name; });

TEST(CapabilitiesErrorTest, UnknownNamesAreRefusedWithTheirField) {
  EXPECT_THAT(BuildCapabilities(Config({.add = {"FLY"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, "add_capabilities: unknown capability \"FLY\""));
  EXPECT_THAT(BuildCapabilities(Config({.drop = {"CAP_"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, "drop_capabilities"));
  EXPECT_THAT(BuildCapabilities(Config({.ambient = {""}})),
              StatusIs(absl::StatusCode::kInvalidArgument, "add_ambient_capabilities"));
}

}  // namespace
}  // namespace podvisor
