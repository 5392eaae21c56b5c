// What launch/ reads of a spec and of an image: options, names of rights, users, programs.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/guest/launch/credentials.h"
#include "agent/guest/launch/mount_options.h"
#include "agent/guest/launch/paths_in_root.h"
#include "agent/guest/launch/program.h"
#include "agent/guest/launch/user.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor::guest {
namespace {

using absl::StatusCode;
using testing::ElementsAre;

class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "/parsingXXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  void Write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    std::ofstream(path_ + "/" + name) << text;
    ::chmod((path_ + "/" + name).c_str(), mode);
  }

 private:
  std::string path_;
};

MountOptions Parse(const std::vector<std::string>& options) {
  google::protobuf::RepeatedPtrField<std::string> list;
  for (const std::string& option : options) *list.Add() = option;
  return ParseMountOptions(list);
}

TEST(MountOptions, AreSorted) {
  const MountOptions options = Parse({"nosuid", "ro", "mode=755", "rslave", "size=1m", "rro"});
  EXPECT_EQ(options.flags, static_cast<unsigned long>(MS_NOSUID | MS_RDONLY));
  EXPECT_EQ(options.attributes, static_cast<uint64_t>(MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY));
  EXPECT_EQ(options.recursive_attributes, static_cast<uint64_t>(MOUNT_ATTR_RDONLY));
  EXPECT_EQ(options.data, "mode=755,size=1m");
  EXPECT_EQ(options.propagation, static_cast<unsigned long>(MS_SLAVE));
  EXPECT_TRUE(options.recursive_propagation);
  EXPECT_FALSE(options.bind);
}

TEST(MountOptions, LaterOnesWin) {
  EXPECT_EQ(Parse({"ro", "rw"}).attributes, 0u);
  EXPECT_EQ(Parse({"rbind"}).bind, true);
  EXPECT_EQ(Parse({"rbind"}).recursive, true);
  EXPECT_EQ(Parse({"rbind", "bind"}).recursive, false);
}

TEST(Credentials, Names) {
  EXPECT_EQ(CapabilityNumber("CAP_CHOWN"), 0);
  EXPECT_EQ(CapabilityNumber("NET_ADMIN"), 12);
  EXPECT_EQ(CapabilityNumber("CAP_CHECKPOINT_RESTORE"), 40);
  EXPECT_EQ(CapabilityNumber("CAP_FLY"), -1);
  CapabilityNames names;
  for (const char* name : {"CAP_CHOWN", "CAP_FLY", "CAP_SYS_ADMIN"}) *names.Add() = name;
  EXPECT_EQ(CapabilityMask(names), 1u | 1u << 21);
  EXPECT_EQ(RlimitNumber("RLIMIT_NOFILE"), RLIMIT_NOFILE);
  EXPECT_EQ(RlimitNumber("NPROC"), RLIMIT_NPROC);
  EXPECT_EQ(RlimitNumber("RLIMIT_LUCK"), -1);
}

class UserTest : public testing::Test {
 protected:
  UserTest() {
    etc_.Write("passwd", "root:x:0:0::/root:/bin/sh\napp:x:500:501::/srv:/bin/sh\n");
    etc_.Write("group", "root:x:0:\nusers:x:100:app,other\nwheel:x:10:app\nstaff:x:50:\n");
  }
  absl::StatusOr<ResolvedUser> Resolve(const std::string& name) {
    grpc::User user;
    user.set_username(name);
    return ResolveUser(user, etc_.path());
  }
  Folder etc_;
};

TEST_F(UserTest, ByName) {
  const auto user = Resolve("app");
  ASSERT_OK(user);
  EXPECT_EQ(user->uid, 500u);
  EXPECT_EQ(user->gid, 501u);
  EXPECT_THAT(user->groups, ElementsAre(100, 10));
  EXPECT_EQ(user->home, "/srv");
}

TEST_F(UserTest, WithGroup) {
  EXPECT_EQ(Resolve("app:staff")->gid, 50u);
  EXPECT_EQ(Resolve("app:77")->gid, 77u);
  EXPECT_EQ(Resolve("1234")->uid, 1234u);
  EXPECT_EQ(Resolve("1234")->gid, 0u);
  EXPECT_EQ(Resolve("500")->gid, 501u);
  EXPECT_EQ(Resolve("1234:5")->gid, 5u);
}

TEST_F(UserTest, UnknownNames) {
  EXPECT_THAT(Resolve("ghost"), StatusIs(StatusCode::kInvalidArgument, "unable to find user ghost"));
  EXPECT_THAT(Resolve("app:ghosts"), StatusIs(StatusCode::kInvalidArgument, "unable to find group ghosts"));
}

TEST_F(UserTest, NumbersOfTheSpecNeedNoFiles) {
  grpc::User user;
  user.set_uid(9);
  user.set_gid(8);
  user.add_additionalgids(7);
  const auto resolved = ResolveUser(user, "/no/such/folder");
  ASSERT_OK(resolved);
  EXPECT_EQ(resolved->uid, 9u);
  EXPECT_EQ(resolved->gid, 8u);
  EXPECT_THAT(resolved->groups, ElementsAre(7));
  EXPECT_EQ(resolved->home, "/");
}

TEST(Program, IsFoundByPath) {
  Folder folder;
  std::filesystem::create_directories(folder.path() + "/a/tool");  // a folder is no program
  std::filesystem::create_directories(folder.path() + "/b");
  folder.Write("b/tool", "", 0755);
  const std::vector<std::string> environment = {"X=1", "PATH=/none:" + folder.path() + "/a:" + folder.path() + "/b"};
  const auto found = FindProgram("tool", environment);
  ASSERT_OK(found);
  EXPECT_EQ(*found, folder.path() + "/b/tool");
  EXPECT_THAT(FindProgram("other", environment),
              StatusIs(StatusCode::kNotFound, "exec: \"other\": executable file not found in $PATH"));
}

TEST(PathsInRoot, StayThere) {
  Folder folder;
  std::filesystem::create_directories(folder.path() + "/root/etc");
  std::filesystem::create_symlink("/../../outside", folder.path() + "/root/link");
  std::filesystem::create_symlink("/etc", folder.path() + "/root/absolute");
  const UniqueFd root(::open((folder.path() + "/root").c_str(), O_PATH | O_CLOEXEC));
  EXPECT_THAT(OpenInRoot(root.get(), "/nosuch", Missing::kFail), StatusIs(StatusCode::kNotFound));
  EXPECT_OK(OpenInRoot(root.get(), "/../../x/y", Missing::kMakeFolder));
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() + "/root/x/y"));
  EXPECT_OK(OpenInRoot(root.get(), "/absolute/new/file", Missing::kMakeFile));
  EXPECT_TRUE(std::filesystem::is_regular_file(folder.path() + "/root/etc/new/file"));
  (void)OpenInRoot(root.get(), "/link/deep", Missing::kMakeFolder);
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/outside"));
}

}  // namespace
}  // namespace podvisor::guest
