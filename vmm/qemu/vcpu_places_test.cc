#include "vmm/qemu/vcpu_places.h"

#include "gmock/gmock.h"
#include "vmm/qemu/qmp_fields.h"

namespace podvisor {
namespace {

using nlohmann::json;
using testing::ElementsAre;

TEST(VcpuPlacesTest, FreeOnesAreInTheOrderOfCores) {
  const json answer = {
      {{"props", {{"core-id", 2}}}, {"type", "max-x86_64-cpu"}, {"vcpus-count", 1}},
      {{"props", {{"core-id", 1}}}, {"type", "max-x86_64-cpu"}, {"vcpus-count", 1}},
      {{"props", {{"core-id", 0}}}, {"type", "max-x86_64-cpu"}, {"qom-path", "/machine/unattached/0"}}};
  const VcpuPlaces places = ReadVcpuPlaces(answer);
  EXPECT_EQ(places.present, 1);
  EXPECT_THAT(places.free, ElementsAre(json{{"core-id", 1}, {"driver", "max-x86_64-cpu"}, {"id", "cpu1"}},
                                       json{{"core-id", 2}, {"driver", "max-x86_64-cpu"}, {"id", "cpu2"}}));
}

TEST(VcpuPlacesTest, WhatIsMalformedIsLeftOut) {
  for (const char* text : {"null", "7", "{}", "[1, null, []]", R"([{"props": 1}])", R"({"props": {}})"})
    EXPECT_THAT(ReadVcpuPlaces(json::parse(text)).free, ElementsAre()) << text;
}

TEST(QmpFieldsTest, WrongTypesAreDefaults) {
  const json object = json::parse(R"({"text": 1, "number": "1", "real": 1e300, "huge": 18446744073709551615})");
  EXPECT_EQ(QmpText(object, "text"), "");
  EXPECT_EQ(QmpText(json(), "text"), "");
  for (const char* key : {"number", "real", "huge", "none"}) EXPECT_EQ(QmpNumber(object, key, -1), -1) << key;
  EXPECT_EQ(QmpNumber(json::array({1}), "0", -1), -1);
  EXPECT_TRUE(QmpList(object).empty());
  EXPECT_TRUE(QmpMember(json("text"), "text").is_null());
}

}  // namespace
}  // namespace podvisor
