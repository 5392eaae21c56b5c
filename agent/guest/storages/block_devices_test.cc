#include "agent/guest/storages/block_devices.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;

// A sysfs in which every disk is called "null", so that its node, /dev/null, exists.
class BlockDevicesTest : public testing::Test {
 protected:
  BlockDevicesTest() {
    std::string pattern = testing::TempDir() + "/sysXXXXXX";
    sys_ = ::mkdtemp(pattern.data());
    const std::string bus = sys_ + "/devices/pci0000:00/";
    std::filesystem::create_directories(bus + "0000:00:05.0/virtio3/block/null");
    std::filesystem::create_directories(bus + "0000:00:06.0/virtio4/net/eth0");
    std::filesystem::create_directories(bus + "0000:00:1f.2/virtio5/block/no-such-node");
    std::filesystem::create_directories(bus + "0000:00:02.0/0000:01:03.0/virtio6/block/null");
    const std::string host = sys_ + "/class/scsi_host/host0/";
    std::filesystem::create_directories(host + "device/target0:0:2/0:0:2:5/block/null");
    std::ofstream(host + "scan") << "";
    std::filesystem::create_directories(sys_ + "/class/virtio-ports/null");
    std::ofstream(sys_ + "/class/virtio-ports/null/name") << "podvisor.agent\n";
  }
  ~BlockDevicesTest() override { std::filesystem::remove_all(sys_); }

  std::string sys_;
};

TEST_F(BlockDevicesTest, PciPaths) {
  for (const char* source : {"05", "5", "05.0", "02/03", "/dev/null"}) {
    const auto found = FindPciDisk(source, sys_);
    ASSERT_OK(found) << source;
    EXPECT_EQ(*found, "/dev/null");
  }
}

TEST_F(BlockDevicesTest, NotThereYet) {
  for (const char* source : {"07", "02/04", "06", "1f.2", "/dev/no-such-node"}) {
    EXPECT_THAT(FindPciDisk(source, sys_), StatusIs(StatusCode::kNotFound)) << source;
  }
}

TEST_F(BlockDevicesTest, NoPciPath) {
  for (const char* source : {"", "/", "xyz", "0x5", "05.9", "ff", "005", "05/../06"}) {
    EXPECT_THAT(FindPciDisk(source, sys_), StatusIs(StatusCode::kInvalidArgument)) << source;
  }
}

TEST_F(BlockDevicesTest, Scsi) {
  const auto found = FindScsiDisk("2:5", sys_);
  ASSERT_OK(found);
  EXPECT_EQ(*found, "/dev/null");
  EXPECT_THAT(FindScsiDisk("2:6", sys_), StatusIs(StatusCode::kNotFound));
  std::string scan;
  std::getline(std::ifstream(sys_ + "/class/scsi_host/host0/scan"), scan);
  EXPECT_EQ(scan, "0 2 6");
  for (const char* source : {"", "2", "2:x", "2:5:1", "a:b"}) {
    EXPECT_THAT(FindScsiDisk(source, sys_), StatusIs(StatusCode::kInvalidArgument)) << source;
  }
}

TEST_F(BlockDevicesTest, SerialPortByName) {
  const auto found = FindSerialPort("podvisor.agent", sys_);
  ASSERT_OK(found);
  EXPECT_EQ(*found, "/dev/null");
  EXPECT_THAT(FindSerialPort("other", sys_), StatusIs(StatusCode::kNotFound, "other"));
}

}  // namespace
}  // namespace podvisor::guest
