#include "base/state_db.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::string FreshPath(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name;
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
  return path;
}

TEST(StateDbTest, KeepsBinaryRowsAcrossReopen) {
  const std::string path = FreshPath("reopen");
  const std::string value("a\0b\xff", 4);
  {
    auto db = StateDb::Open(path);
    ASSERT_OK(db);
    ASSERT_OK((*db)->Put("sandboxes", "b", value));
    ASSERT_OK((*db)->Put("sandboxes", "a", "1"));
    ASSERT_OK((*db)->Put("sandboxes", "a", "2"));
  }
  auto db = StateDb::Open(path);
  ASSERT_OK(db);
  EXPECT_THAT(*(*db)->Scan("sandboxes"), ElementsAre(Pair("a", "2"), Pair("b", value)));
  EXPECT_EQ(*(*db)->Get("sandboxes", "b"), value);
  ASSERT_OK((*db)->Delete("sandboxes", "b"));
  EXPECT_OK((*db)->Delete("sandboxes", "never there"));
  EXPECT_THAT((*db)->Get("sandboxes", "b"), StatusIs(absl::StatusCode::kNotFound, "sandboxes"));
  struct stat st;
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST(StateDbTest, BatchIsAllOrNothing) {
  auto db = StateDb::Open(":memory:");
  ASSERT_OK(db);
  ASSERT_OK((*db)->Put("a", "k", "old"));
  EXPECT_FALSE((*db)->Apply({{"a", "k", "new"}, {"not a name", "k", "v"}}).ok());
  EXPECT_EQ(*(*db)->Get("a", "k"), "old");
  ASSERT_OK((*db)->Apply({{"a", "k", std::nullopt}, {"b", "k", "moved"}}));
  EXPECT_THAT(*(*db)->Scan("a"), IsEmpty());
  EXPECT_EQ(*(*db)->Get("b", "k"), "moved");
}

TEST(StateDbTest, SecondOpenOfTheSameFileIsRefused) {
  const std::string path = FreshPath("second");
  auto first = StateDb::Open(path);
  ASSERT_OK(first);
  EXPECT_THAT(StateDb::Open(path), StatusIs(absl::StatusCode::kFailedPrecondition, "another podvisord"));
}

TEST(StateDbTest, GarbageIsDataLossThatNamesTheFile) {
  const std::string path = FreshPath("garbage");
  FILE* file = ::fopen(path.c_str(), "w");
  ::fputs("this is no database, only a text that is long enough to be read as a header of one, and more", file);
  ::fclose(file);
  EXPECT_THAT(StateDb::Open(path), StatusIs(absl::StatusCode::kDataLoss, "garbage"));
}

}  // namespace
}  // namespace podvisor
