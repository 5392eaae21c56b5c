#include "vmm/qemu/console_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

class ConsoleLogTest : public testing::Test {
 protected:
  ConsoleLogTest() : path_(testing::TempDir() + "/console.log") {
    ::unlink(path_.c_str());
    ::unlink((path_ + ".1").c_str());
  }
  off_t SizeOf(const std::string& path) {
    struct stat stat = {};
    return ::stat(path.c_str(), &stat) == 0 ? stat.st_size : -1;
  }
  const std::string path_;
};

TEST_F(ConsoleLogTest, TailSpansBothFiles) {
  ConsoleLog log(path_, 8);
  EXPECT_EQ(log.Tail(100), "");
  ASSERT_OK(log.Append("012345"));
  ASSERT_OK(log.Append("abcd"));
  EXPECT_EQ(log.Tail(100), "012345abcd");
  EXPECT_EQ(log.Tail(6), "45abcd");
  EXPECT_EQ(log.Tail(4), "abcd");
  EXPECT_EQ(log.Tail(2), "cd");
  EXPECT_EQ(log.Tail(0), "");
}

TEST_F(ConsoleLogTest, AFloodStaysBoundedAndItsEndIsKept) {
  ConsoleLog log(path_, 1000);
  std::string last;
  for (int i = 0; i < 500; ++i) {
    last = absl::StrCat("line ", i, " of a guest that floods its console\n");
    ASSERT_OK(log.Append(last));
  }
  ASSERT_OK(log.Append(std::string(100'000, 'x') + last));
  EXPECT_LE(SizeOf(path_), 1000);
  EXPECT_LE(SizeOf(path_ + ".1"), 1000);
  EXPECT_EQ(log.Tail(last.size()), last);
}

TEST_F(ConsoleLogTest, SurvivesItsWriter) {
  { ASSERT_OK(ConsoleLog(path_, 100).Append("before the restart ")); }
  ConsoleLog log(path_, 100);
  ASSERT_OK(log.Append("and after"));
  EXPECT_EQ(log.Tail(100), "before the restart and after");
}

TEST_F(ConsoleLogTest, FolderGone) {
  ConsoleLog log(testing::TempDir() + "/nosuch/console.log");
  EXPECT_THAT(log.Append("x"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(log.Tail(10), "");
}

}  // namespace
}  // namespace podvisor
