#include "agent/guest/runtime/process_usage.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::ContainerUsage;

// A folder that looks like a cgroup with this process in a group below it.
std::string MakeCgroup() {
  const std::string path = std::string(::getenv("TEST_TMPDIR")) + "/cgroup";
  std::filesystem::create_directories(path + "/below");
  std::ofstream(path + "/cgroup.procs") << "2147483000\n";  // a process that has just ended
  std::ofstream(path + "/below/cgroup.procs") << ::getpid() << "\n";
  return path;
}

TEST(ProcessUsageTest, CountsDescriptorsAndSocketsOfAllProcesses) {
  const std::string path = MakeCgroup();
  ContainerUsage before;
  CountProcesses(path, &before);
  EXPECT_EQ(before.process_count(), 2u);
  EXPECT_GE(before.file_descriptors(), 3u);
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const UniqueFd one(fds[0]), other(fds[1]);
  ContainerUsage after;
  CountProcesses(path, &after);
  EXPECT_EQ(after.sockets(), before.sockets() + 2);
  EXPECT_EQ(after.file_descriptors(), before.file_descriptors() + 2);
}

TEST(ProcessUsageTest, ALayerHasTheLimitsOfItsFileSystem) {
  ContainerUsage usage;
  ReadLayerLimits("/dev/shm", &usage);
  EXPECT_GT(usage.layer_limit_bytes(), 0u);
  EXPECT_GE(usage.layer_inodes_limit(), usage.layer_inodes_free());
  ContainerUsage none;
  ReadLayerLimits("/no/such/folder", &none);
  EXPECT_FALSE(none.has_layer_limit_bytes());
}

}  // namespace
}  // namespace podvisor::guest
