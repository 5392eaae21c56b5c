#include "agent/guest/network/addresses.h"

#include <sys/socket.h>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;

TEST(Addresses, Ip) {
  const auto v4 = ParseIp("10.1.2.3/16");
  ASSERT_OK(v4);
  EXPECT_EQ(*v4, (IpAddress{.family = AF_INET, .bytes = "\x0a\x01\x02\x03", .prefix = 16}));
  EXPECT_EQ(FormatIp(AF_INET, v4->bytes), "10.1.2.3");
  const auto v6 = ParseIp("fd00::7");
  ASSERT_OK(v6);
  EXPECT_EQ(v6->prefix, 128);
  EXPECT_EQ(FormatIp(v6->family, v6->bytes), "fd00::7");
  for (const char* bad : {"", "10.1.2", "10.1.2.3/33", "10.1.2.3/x", "10.1.2.3/", "fd00::/129", "host", "1.2.3.4/-1"}) {
    EXPECT_THAT(ParseIp(bad), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(Addresses, Masks) {
  EXPECT_EQ(ParseIpWithMask("10.0.0.1", "24")->prefix, 24);
  EXPECT_EQ(ParseIpWithMask("10.0.0.1", "255.255.0.0")->prefix, 16);
  EXPECT_EQ(ParseIpWithMask("10.0.0.1", "")->prefix, 32);
  EXPECT_EQ(ParseIpWithMask("fd00::1", "64")->prefix, 64);
  EXPECT_THAT(ParseIpWithMask("10.0.0.1", "64"), StatusIs(StatusCode::kInvalidArgument));
}

TEST(Addresses, Mac) {
  const auto mac = ParseMac("02:00:00:aB:cd:ef");
  ASSERT_OK(mac);
  EXPECT_EQ(FormatMac(*mac), "02:00:00:ab:cd:ef");
  for (const char* bad : {"", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:zz", "hello"}) {
    EXPECT_THAT(ParseMac(bad), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
}

}  // namespace
}  // namespace podvisor::guest
