#include "podmanager/host_cgroup.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/process.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/ids.h"

namespace podvisor {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(CgroupParentPathTest, ExpandsSlices) {
  EXPECT_EQ(CgroupParentPath("").value(), "/");
  EXPECT_EQ(CgroupParentPath("/").value(), "/");
  EXPECT_EQ(CgroupParentPath("/kubepods/burstable/pod1").value(), "/kubepods/burstable/pod1");
  EXPECT_EQ(CgroupParentPath("kubepods/pod1").value(), "/kubepods/pod1");
  EXPECT_EQ(CgroupParentPath("kubepods-besteffort-pod1_2.slice").value(),
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice");
  EXPECT_EQ(CgroupParentPath("system.slice").value(), "/system.slice");
  EXPECT_EQ(CgroupParentPath("-.slice").value(), "/");
  EXPECT_THAT(CgroupParentPath("a--b.slice"), StatusIs(StatusCode::kInvalidArgument, "slice"));
  EXPECT_THAT(CgroupParentPath("/a/../b"), StatusIs(StatusCode::kInvalidArgument, ".."));
}

// A folder that looks like cgroup v1, with two hierarchies.
class CgroupTreeTest : public testing::Test {
 protected:
  CgroupTreeTest() {
    for (const char* hierarchy : {"cpu", "memory"}) {
      fs::create_directories(root_ + "/" + hierarchy);
      std::ofstream(root_ + "/" + hierarchy + "/cgroup.procs");
    }
    fs::create_directory_symlink(root_ + "/cpu", root_ + "/cpu,cpuacct");
  }
  ~CgroupTreeTest() override { fs::remove_all(root_); }

  static std::string MakeRoot() {
    char path[] = "/tmp/cgroup.XXXXXX";
    if (::mkdtemp(path) == nullptr) abort();
    return path;
  }
  const std::string root_ = MakeRoot();
};

TEST_F(CgroupTreeTest, MakesEveryHierarchyAndRemovesWhatItMade) {
  auto plan = PlanCgroup(root_, "/podvisor", CgroupParent::kOurs, "id1");
  ASSERT_OK(plan);
  EXPECT_THAT(plan->directories,
              ElementsAre(root_ + "/cpu/podvisor/podvisor-id1", root_ + "/memory/podvisor/podvisor-id1"));
  EXPECT_FALSE(fs::exists(root_ + "/cpu/podvisor")) << "planning touches nothing";
  EXPECT_THAT(MakeCgroup(*plan, "id1"), ElementsAre(root_ + "/cpu/podvisor/podvisor-id1/cgroup.procs",
                                                    root_ + "/memory/podvisor/podvisor-id1/cgroup.procs"));
  auto second = PlanCgroup(root_, "/podvisor", CgroupParent::kOurs, "id2");
  ASSERT_OK(second);
  MakeCgroup(*second, "id2");
  EXPECT_THAT(FindCgroup(root_, "id2").directories, ElementsAre(second->directories[0], second->directories[1]));
  EXPECT_OK(RemoveCgroup(*plan, absl::Now()));
  EXPECT_TRUE(fs::exists(second->directories[0])) << "a shared parent stays with its other child";
  EXPECT_OK(RemoveCgroup(*second, absl::Now()));
  EXPECT_OK(RemoveCgroup(*plan, absl::Now())) << "idempotent";
  EXPECT_FALSE(fs::exists(root_ + "/cpu/podvisor"));
  EXPECT_FALSE(fs::exists(root_ + "/memory/podvisor"));
}

TEST_F(CgroupTreeTest, UsesOnlyTheHierarchiesOfAnExistingParent) {
  fs::create_directories(root_ + "/memory/kubepods/pod1");
  auto plan = PlanCgroup(root_, "/kubepods/pod1", CgroupParent::kOthers, "id1");
  ASSERT_OK(plan);
  EXPECT_THAT(plan->directories, ElementsAre(root_ + "/memory/kubepods/pod1/podvisor-id1"));
  EXPECT_THAT(plan->created_parents, IsEmpty());
}

TEST_F(CgroupTreeTest, ParentOfAnotherStays) {
  fs::create_directories(root_ + "/cpu/kubepods");
  auto plan = PlanCgroup(root_, "/kubepods", CgroupParent::kOthers, "id1");
  ASSERT_OK(plan);
  MakeCgroup(*plan, "id1");
  EXPECT_OK(RemoveCgroup(*plan, absl::Now()));
  EXPECT_TRUE(fs::exists(root_ + "/cpu/kubepods"));
}

TEST_F(CgroupTreeTest, MissingTreeMeansNoCgroups) {
  auto plan = PlanCgroup(root_ + "/nothing", "/podvisor", CgroupParent::kOurs, "id1");
  ASSERT_OK(plan);
  EXPECT_THAT(plan->directories, IsEmpty());
  EXPECT_THAT(MakeCgroup(*plan, "id1"), IsEmpty());
  EXPECT_OK(RemoveCgroup(*plan, absl::Now()));
}

TEST(CgroupTest, ProcessesAreKilledAndTheGroupIsGone) {
  const std::string id = RandomId();
  auto plan = PlanCgroup("/sys/fs/cgroup", absl::StrCat("/podvisor-test-", id.substr(0, 8)), CgroupParent::kOthers, id);
  ASSERT_OK(plan);
  const std::vector<std::string> procs = MakeCgroup(*plan, id);
  if (procs.empty()) GTEST_SKIP() << "cgroups can't be made here";
  auto sleeper = Spawn({.argv = {"/bin/sleep", "1000"}});
  ASSERT_OK(sleeper);
  for (const std::string& path : procs) {
    std::ofstream out(path);
    out << sleeper->identity().pid << std::flush;
    EXPECT_TRUE(out.good()) << path;
  }
  EXPECT_OK(RemoveCgroup(*plan, absl::Now() + absl::Seconds(30)));
  for (const std::string& directory : plan->directories) EXPECT_FALSE(fs::exists(directory)) << directory;
  for (const std::string& parent : plan->created_parents) EXPECT_FALSE(fs::exists(parent)) << parent;
  auto exit = sleeper->Wait(absl::Now() + absl::Seconds(30));
  ASSERT_OK(exit);
  EXPECT_EQ(exit->signal, 9);
}

}  // namespace
}  // namespace podvisor
