#include "vmm/qemu/proc_stat.h"

#include <unistd.h>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

// Of real ones: a clone's memory (4 MiB, of which it has written 1 MiB), a plugged block, translated code of the same
// size, a library.
constexpr char kMappings[] =
    "7f0000000000-7f0000400000 rw-p 00000000 00:1a 77                         /run/podvisor/template/memory\n"
    "Size:               4096 kB\n"
    "Rss:                3072 kB\n"
    "Pss:                1500 kB\n"
    "Pss_Dirty:          1500 kB\n"
    "Shared_Dirty:       2048 kB\n"
    "Private_Dirty:      1024 kB\n"
    "Anonymous:          1024 kB\n"
    "VmFlags: rd wr mr mw me ac\n"
    "7f0001000000-7f0001200000 rw-p 00000000 00:00 0 \n"
    "Size:               2048 kB\n"
    "Rss:                  64 kB\n"
    "Pss:                  64 kB\n"
    "Anonymous:            64 kB\n"
    "7f0002000000-7f0002400000 rwxp 00000000 00:00 0 \n"
    "Size:               4096 kB\n"
    "Rss:                 512 kB\n"
    "Pss:                 512 kB\n"
    "Anonymous:           512 kB\n"
    "7f0003000000-7f0003100000 r-xp 00000000 fe:00 247741                     /usr/lib/a: lib.so\n"
    "Size:               1024 kB\n"
    "Rss:                 256 kB\n"
    "Pss:                   4 kB\n"
    "Anonymous:             0 kB\n";

TEST(AddMappingsTest, CloneSharesWhatItHasNotWritten) {
  VmUsage usage;
  AddMappings(kMappings, {4 << 20, 2 << 20}, usage);
  EXPECT_EQ(usage.resident_bytes, (3072u + 64 + 512 + 256) << 10);
  EXPECT_EQ(usage.proportional_bytes, (1500u + 64 + 512 + 4) << 10);
  EXPECT_EQ(usage.guest_shared_bytes, 2048u << 10);
  EXPECT_EQ(usage.guest_private_bytes, (1024u + 64) << 10);
}

TEST(AddMappingsTest, SharedMappingOfACopyIsTheVmsOwn) {
  VmUsage usage;
  AddMappings(
      "7f00-7f01 rw-s 00000000 00:01 9   /memfd:guest-memory (deleted)\nSize: 4096 kB\nRss: 512 kB\nPss: 512 kB\n"
      "Anonymous: 0 kB\n",
      {4 << 20}, usage);
  EXPECT_EQ(usage.guest_private_bytes, 512u << 10);
  EXPECT_EQ(usage.guest_shared_bytes, 0u);
}

TEST(AddMappingsTest, NonsenseIsNothing) {
  VmUsage usage;
  AddMappings("", {4096}, usage);
  AddMappings(":::\nSize\nRss: lots\n\xff: 1 kB", {4096}, usage);
  EXPECT_EQ(usage.resident_bytes, 0u);
}

TEST(ProcessUsageTest, OfThisProcess) {
  const auto usage = ProcessUsage(::getpid(), {});
  ASSERT_OK(usage);
  EXPECT_GT(usage->resident_bytes, 1u << 20);
  EXPECT_LE(usage->proportional_bytes, usage->resident_bytes);
  EXPECT_EQ(usage->guest_private_bytes, 0u);
}

TEST(ProcessUsageTest, OfNoProcess) { EXPECT_THAT(ProcessUsage(1 << 30, {}), StatusIs(absl::StatusCode::kNotFound)); }

}  // namespace
}  // namespace podvisor
