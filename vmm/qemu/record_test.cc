#include "vmm/qemu/record.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

TEST(RecordTest, ComesBackAsItWas) {
  const QemuRecord record = {"3f2a", "/run/vm \"x\"", {1234, 567890}, 2, 8, 256 << 20, uint64_t{4} << 30, 3};
  const auto parsed = ParseRecord(SerializeRecord(record));
  ASSERT_OK(parsed);
  EXPECT_EQ(*parsed, record);
}

TEST(RecordTest, Nonsense) {
  for (const char* bytes : {"", "{", "[]", "7", "{}", R"({"version": 1})", R"({"version": "one"})",
                            R"({"version": 1, "id": 5})", "\xff\x01"})
    EXPECT_THAT(ParseRecord(bytes), StatusIs(absl::StatusCode::kInvalidArgument)) << bytes;
}

TEST(RecordTest, OfALaterVersion) {
  EXPECT_THAT(ParseRecord(R"({"version": 2})"), StatusIs(absl::StatusCode::kUnimplemented, "later podvisor"));
}

}  // namespace
}  // namespace podvisor
