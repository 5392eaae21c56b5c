#include "daemon/run_lock.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

TEST(LockFolderTest, OnlyOneHoldsIt) {
  auto first = LockFolder(testing::TempDir());
  ASSERT_OK(first);
  EXPECT_THAT(LockFolder(testing::TempDir()),
              StatusIs(absl::StatusCode::kFailedPrecondition, absl::StrCat("process ", ::getpid(), ": stop it")));
  first->reset();
  EXPECT_OK(LockFolder(testing::TempDir()));
}

TEST(LockFolderTest, MissingFolder) {
  EXPECT_THAT(LockFolder("/no/such/folder"), StatusIs(absl::StatusCode::kNotFound, "open /no/such/folder"));
}

}  // namespace
}  // namespace podvisor
