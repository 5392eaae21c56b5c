#include "storage/shared_folder.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/durable_file.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::Not;

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return file.good() || file.eof() ? text.str() : "unreadable";
}
int WriteErrno(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

// Each test has a mount name space of its own, where / is shared as on a machine with systemd: nothing can be left.
class SharedFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    before_ = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "no mount name space can be made here";
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), 0);
    ASSERT_OK(RemoveTree(root_));
    ASSERT_OK(MakeFolders(root_ + "/host/below"));
    Write(root_ + "/host/file", "text");
  }
  void TearDown() override {
    if (before_ < 0) return;
    ::setns(before_, CLONE_NEWNS);
    ::close(before_);
    EXPECT_OK(RemoveTree(root_));
  }

  const std::string root_ = testing::TempDir() + "/shared-folder";
  const std::string host_ = root_ + "/host";
  const std::string path_ = root_ + "/shared";
  int before_ = -1;
};

TEST_F(SharedFolderTest, BindsFilesAndFoldersBothWays) {
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  ASSERT_OK(folder.Create());
  ASSERT_OK(folder.Bind(host_, "folder", MountAccess::kReadWrite));
  ASSERT_OK(folder.Bind(host_, "folder", MountAccess::kReadWrite));
  ASSERT_EQ(::symlink("file", (host_ + "/link").c_str()), 0);
  ASSERT_OK(folder.Bind(host_ + "/link", "file", MountAccess::kReadWrite));
  ASSERT_OK(folder.Bind("/dev/null", "device", MountAccess::kReadWrite));
  EXPECT_EQ(Read(path_ + "/file"), "text");
  Write(path_ + "/folder/new", "from the guest");
  EXPECT_EQ(Read(host_ + "/new"), "from the guest");
  Write(host_ + "/file", "changed");
  EXPECT_EQ(Read(path_ + "/file"), "changed");

  SharedFolder again(path_);  // as after a restart
  ASSERT_OK(again.Create());
  ASSERT_OK(again.Unbind("folder"));
  EXPECT_OK(again.Unbind("folder"));
  EXPECT_NE(::access((path_ + "/folder").c_str(), F_OK), 0);
  EXPECT_EQ(Read(path_ + "/file"), "changed");
  ASSERT_OK(again.Destroy());
  EXPECT_OK(again.Destroy());
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_EQ(Read(host_ + "/file"), "changed");
  EXPECT_EQ(Read(host_ + "/new"), "from the guest");
  EXPECT_THAT(Read("/proc/self/mountinfo"), Not(HasSubstr(path_)));
}

TEST_F(SharedFolderTest, Access) {
  ASSERT_EQ(::mount("tmpfs", (host_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  const struct {
    const char* name;
    MountAccess access;
    int top, below;
  } cases[] = {{"rw", MountAccess::kReadWrite, 0, 0},
               {"ro", MountAccess::kReadOnly, EROFS, 0},
               {"rro", MountAccess::kRecursiveReadOnly, EROFS, EROFS}};
  for (const auto& c : cases) {
    ASSERT_OK(folder.Bind(host_, c.name, c.access));
    EXPECT_EQ(WriteErrno(path_ + "/" + c.name + "/file"), c.top) << c.name;
    EXPECT_EQ(WriteErrno(path_ + "/" + c.name + "/below/file"), c.below) << c.name;
  }
  EXPECT_EQ(WriteErrno(host_ + "/file"), 0) << "the host's own mount must not change";
  EXPECT_EQ(WriteErrno(host_ + "/below/file"), 0);
}

TEST_F(SharedFolderTest, TellsOfMountsBelow) {
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  ASSERT_OK(folder.Bind(host_, "plain", MountAccess::kReadOnly));
  EXPECT_EQ(folder.HoldsMounts("plain").value_or(!false), false);
  ASSERT_EQ(::mount("tmpfs", (host_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_OK(folder.Bind(host_ + "/below", "below", MountAccess::kReadOnly));
  EXPECT_EQ(folder.HoldsMounts("below").value_or(!false), false);
  EXPECT_EQ(folder.HoldsMounts("plain").value_or(!true), true) << "it has come along";
  EXPECT_EQ(folder.HoldsMounts("pla").value_or(!false), false);
}

struct stat Stat(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info;
}

TEST_F(SharedFolderTest, OwnersAreMapped) {
  ASSERT_EQ(::mount("tmpfs", (host_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  Write(host_ + "/below/file", "x");
  ASSERT_EQ(::chown((host_ + "/below/file").c_str(), 33, 44), 0);
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  const IdMappings owners = {{{0, 1000, 100}, {5000, 0, 1}}, {{0, 2000, 100}, {5000, 0, 1}}};
  const absl::Status bound = folder.Bind(host_, "mapped", MountAccess::kReadWrite, owners);
  if (absl::IsInvalidArgument(bound)) GTEST_SKIP() << bound;
  ASSERT_OK(bound);
  EXPECT_EQ(Stat(path_ + "/mapped/file").st_uid, 1000u);
  EXPECT_EQ(Stat(path_ + "/mapped/below/file").st_uid, 1033u);
  EXPECT_EQ(Stat(path_ + "/mapped/below/file").st_gid, 2044u);
  // As a VMM does that serves the guest's root.
  Write(path_ + "/mapped/new", "x");
  ASSERT_EQ(::chown((path_ + "/mapped/new").c_str(), 1000, 2000), 0);
  EXPECT_EQ(Stat(host_ + "/new").st_uid, 0u);
  EXPECT_EQ(Stat(host_ + "/new").st_gid, 0u);
  EXPECT_EQ(Stat(host_ + "/file").st_uid, 0u);
}

TEST_F(SharedFolderTest, OwnersThatCantBeMappedAreAnErrorThatNamesTheMount) {
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  const IdMappings owners = {{{0, 1000, 100}}, {{0, 1000, 100}}};
  EXPECT_THAT(folder.Bind("/proc", "proc", MountAccess::kReadWrite, owners),
              StatusIs(StatusCode::kInvalidArgument, "bind /proc at"));
  EXPECT_THAT(folder.Bind("/proc", "proc", MountAccess::kReadWrite, owners),
              StatusIs(StatusCode::kInvalidArgument, "map the owners of its files"));
  EXPECT_NE(::access((path_ + "/proc").c_str(), F_OK), 0);
}

TEST_F(SharedFolderTest, HostMountsAppearAndOursNeverUnmountThem) {
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  ASSERT_OK(folder.Bind(host_, "folder", MountAccess::kReadWrite));
  ASSERT_EQ(::mount("tmpfs", (host_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  Write(host_ + "/below/late", "late");
  EXPECT_EQ(Read(path_ + "/folder/below/late"), "late");
  ASSERT_OK(folder.Unbind("folder"));
  EXPECT_EQ(Read(host_ + "/below/late"), "late");
  ASSERT_OK(folder.Bind(host_, "folder", MountAccess::kReadWrite));
  ASSERT_OK(folder.Destroy());
  EXPECT_EQ(Read(host_ + "/below/late"), "late");
}

TEST_F(SharedFolderTest, ReachesAProcessWithItsOwnNameSpace) {
  SharedFolder folder(path_);
  ASSERT_OK(folder.Create());
  int ready[2], go[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(go), 0);
  const pid_t vmm = ::fork();
  if (vmm == 0) {
    char byte = 0;
    const bool slave = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
    if (!slave || ::write(ready[1], "x", 1) != 1 || ::read(go[0], &byte, 1) != 1) ::_exit(2);
    ::_exit(Read(path_ + "/folder/file") == "text" && Read(path_ + "/folder/below/late") == "late" ? 0 : 1);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_OK(folder.Bind(host_, "folder", MountAccess::kReadOnly));
  ASSERT_EQ(::mount("tmpfs", (host_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  Write(host_ + "/below/late", "late");
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(vmm, &status, 0), vmm);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
}

TEST_F(SharedFolderTest, Refuses) {
  EXPECT_THAT(SharedFolder("relative").Create(), StatusIs(StatusCode::kInvalidArgument));
  SharedFolder folder(path_);
  EXPECT_THAT(folder.Bind(host_, "x", MountAccess::kReadOnly), StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK(folder.Create());
  for (const char* name : {"", ".", "..", "a/b", "/etc"})
    EXPECT_THAT(folder.Bind(host_, name, MountAccess::kReadOnly), StatusIs(StatusCode::kInvalidArgument)) << name;
  EXPECT_THAT(folder.Bind(host_ + "/missing", "x", MountAccess::kReadOnly), StatusIs(StatusCode::kNotFound, "missing"));
  EXPECT_NE(::access((path_ + "/x").c_str(), F_OK), 0);
  // What a guest wrote into the folder itself goes with it; what it made to look like a bind is no obstacle.
  ASSERT_OK(MakeFolders(path_ + "/folder/deep"));
  Write(path_ + "/folder/deep/file", "guest");
  ASSERT_OK(folder.Bind(host_, "folder", MountAccess::kReadOnly));
  EXPECT_EQ(Read(path_ + "/folder/file"), "text");
  ASSERT_OK(MakeFolders(path_ + "/junk/deep"));
  ASSERT_OK(folder.Destroy());
  EXPECT_EQ(Read(host_ + "/file"), "text");
}

TEST_F(SharedFolderTest, RemoveTreeStopsAtMounts) {
  ASSERT_OK(MakeFolders(root_ + "/tree/mount"));
  ASSERT_EQ(::mount(host_.c_str(), (root_ + "/tree/mount").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_THAT(RemoveTree(root_ + "/tree"), StatusIs(StatusCode::kFailedPrecondition, "mount point"));
  EXPECT_EQ(Read(host_ + "/file"), "text");
}

}  // namespace
}  // namespace podvisor
