#include "base/atomic_file.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cstdlib>

#include "gtest/gtest.h"

namespace podvisor {
namespace {

std::string TestPath(const std::string& name) { return testing::TempDir() + "/" + name; }

TEST(AtomicFileTest, ReplacesWholeContentAndSetsMode) {
  const std::string path = TestPath("replace");
  ASSERT_TRUE(WriteFileAtomically(path, "a long first content", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "short", 0640).ok());
  EXPECT_EQ(*ReadFile(path, 100), "short");
  struct stat st;
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
}

TEST(AtomicFileTest, FailureLeavesNoTemporaryFile) {
  const std::string folder = TestPath("target_is_a_folder");
  ::mkdir(folder.c_str(), 0755);
  ::mkdir((folder + "/x").c_str(), 0755);
  EXPECT_FALSE(WriteFileAtomically(folder + "/x", "content", 0600).ok());
  int entries = 0;
  DIR* dir = ::opendir(folder.c_str());
  ASSERT_NE(dir, nullptr);
  while (::readdir(dir) != nullptr) ++entries;
  ::closedir(dir);
  EXPECT_EQ(entries, 3);  // ".", "..", "x"
}

TEST(AtomicFileTest, ReadNamesTheFileThatIsMissing) {
  const auto content = ReadFile(TestPath("none"), 10);
  EXPECT_EQ(content.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(content.status().message().find("none"), absl::string_view::npos);
}

TEST(AtomicFileTest, ReadIsBounded) {
  const std::string path = TestPath("large");
  ASSERT_TRUE(WriteFileAtomically(path, std::string(1000, 'x'), 0600).ok());
  EXPECT_EQ(ReadFile(path, 999).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(ReadFile(path, 1000).ok());
}

}  // namespace
}  // namespace podvisor
