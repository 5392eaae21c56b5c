#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "podmanager/spec/container_spec.h"

namespace podvisor {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(SignalTest, NamesAndNumbers) {
  const struct {
    const char* text;
    int number;
  } kCases[] = {{"SIGTERM", 15}, {"TERM", 15},    {"term", 15},        {"sigquit", 3}, {"15", 15},         {"9", 9},
                {"RTMIN", 34},   {"RTMIN+3", 37}, {"SIGRTMIN+30", 64}, {"RTMAX", 64},  {"SIGRTMAX-1", 63}, {"64", 64}};
  for (const auto& c : kCases) {
    auto number = ParseSignal(c.text);
    ASSERT_THAT(number, IsOk()) << c.text;
    EXPECT_EQ(*number, c.number) << c.text;
  }
  for (const char* text : {"", "0", "65", "-1", "SIG", "SIGFLY", "RTMIN+31", "RTMIN+-1", "RTMIN+", "RTMAX-31",
                           "SIGTERM ", "15x", "99999999999999999999"})
    EXPECT_THAT(ParseSignal(text), StatusIs(kInvalid, "stop signal")) << text;
}

TEST(SignalTest, ConfigThenImageThenTerm) {
  ContainerConfig config;
  ImageConfig image;
  EXPECT_EQ(*StopSignal(config, image), 15);
  image.stop_signal = "SIGQUIT";
  EXPECT_EQ(*StopSignal(config, image), 3);
  config.set_stop_signal("USR1");
  EXPECT_EQ(*StopSignal(config, image), 10);
  config.set_stop_signal("what");
  EXPECT_THAT(StopSignal(config, image), StatusIs(kInvalid, "what"));
}

}  // namespace
}  // namespace podvisor
