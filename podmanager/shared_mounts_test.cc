// Host paths in containers, with real mounts: needs root. The process has a mount name space of its own, so nothing can
// be left on the machine.
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/paths.h"
#include "podmanager/testing/pods_test.h"

namespace podvisor {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::Contains;
using testing::IsEmpty;

class SharedMountsTest : public PodsTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    // Tasks are threads that are started from this one: they mount where it does.
    static const bool unshared =
        ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (!unshared) GTEST_SKIP() << "no mount name space can be made here";
    capabilities_ = MockCapabilities();
    StartDaemon();
    sandbox_ = ReadyPod("web");
    fs::create_directories(dir_ + "/host");
    std::ofstream(dir_ + "/host/file") << "text";
  }

  ContainerConfig WithMounts() {
    ContainerConfig config = Program("c", {"sleep", "inf"});
    MountConfig& mount = *config.add_mounts();
    mount.set_host_path(dir_ + "/host");
    mount.set_container_path("/data");
    mount.set_readonly(true);
    MountConfig& missing = *config.add_mounts();
    missing.set_host_path(dir_ + "/not/there");
    missing.set_container_path("/made");
    return config;
  }
  std::string Shared(const std::string& container, size_t index) {
    return SandboxSharedDir(options_.run_dir, sandbox_) + "/" + SharedMountName(container, index);
  }

  std::string sandbox_;
};

TEST_F(SharedMountsTest, AreBoundForTheContainersLife) {
  EXPECT_EQ(host_->View(sandbox_)->spec.shared_folder, SandboxSharedDir(options_.run_dir, sandbox_));
  const std::string id = Created(sandbox_, WithMounts());
  EXPECT_TRUE(fs::exists(Shared(id, 0) + "/file"));
  std::ofstream(Shared(id, 0) + "/new") << "x";
  EXPECT_FALSE(fs::exists(dir_ + "/host/new")) << "read-only on the host's side, too";
  EXPECT_TRUE(fs::is_directory(dir_ + "/not/there")) << "a host path that is missing becomes a folder";
  std::ofstream(Shared(id, 1) + "/new") << "x";
  EXPECT_TRUE(fs::exists(dir_ + "/not/there/new"));
  auto request = Agent(sandbox_)->ContainerRequest(id);
  ASSERT_OK(request);
  std::vector<std::string> sources;
  for (const grpc::Mount& mount : request->oci().mounts()) sources.push_back(mount.source());
  EXPECT_THAT(sources, Contains("/run/kata-containers/shared/containers/" + SharedMountName(id, 0)));

  StartDaemon();
  EXPECT_OK(pods_->RemoveContainer(id, Soon()));
  EXPECT_THAT(fs::exists(Shared(id, 0)), false);
  EXPECT_THAT(fs::exists(Shared(id, 1)), false);
  EXPECT_TRUE(fs::exists(dir_ + "/host/file")) << "what was bound stays";
}

TEST_F(SharedMountsTest, GoWithTheSandbox) {
  Running(sandbox_, WithMounts());
  EXPECT_OK(pods_->StopPodSandbox(sandbox_, Soon()));
  EXPECT_THAT(RuntimeFolders(), IsEmpty());
  EXPECT_TRUE(fs::exists(dir_ + "/host/file"));
  EXPECT_OK(pods_->RemovePodSandbox(sandbox_, Soon()));
  ExpectNothingLeft();
}

TEST_F(SharedMountsTest, AreUndoneWithAFailedCreate) {
  Agent(sandbox_)->FailNext("CreateContainer", absl::InternalError("injected"));
  EXPECT_THAT(pods_->CreateContainer(sandbox_, WithMounts(), Soon()), StatusIs(StatusCode::kInternal, "injected"));
  EXPECT_THAT(fs::is_empty(SandboxSharedDir(options_.run_dir, sandbox_)), true);
  EXPECT_TRUE(fs::exists(dir_ + "/host/file"));
}

TEST_F(SharedMountsTest, OfASandboxWithoutRecordAreUnmounted) {
  Running(sandbox_, WithMounts());
  StopDaemon();
  ASSERT_OK(db_->Delete("sandboxes", sandbox_));
  StartDaemon();
  pods_->Drain(Soon());
  EXPECT_TRUE(fs::exists(dir_ + "/host/file"));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace podvisor
