#include "base/rollback.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RollbackTest : public testing::Test {
 protected:
  Rollback::Step Note(std::string name, absl::Status status = absl::OkStatus()) {
    return [this, name, status](absl::Time) {
      ran_.push_back(name);
      return status;
    };
  }
  std::vector<std::string> ran_;
};

TEST_F(RollbackTest, RunsInReverseWhenDestroyed) {
  {
    Rollback rollback(absl::Seconds(1));
    rollback.Add("a", Note("a"));
    rollback.Add("b", Note("b"));
  }
  EXPECT_THAT(ran_, ElementsAre("b", "a"));
}

TEST_F(RollbackTest, CommitKeepsEverything) {
  {
    Rollback rollback(absl::Seconds(1));
    rollback.Add("a", Note("a"));
    rollback.Commit();
  }
  EXPECT_THAT(ran_, IsEmpty());
}

TEST_F(RollbackTest, FailedStepIsNamedAndOthersRun) {
  Rollback rollback(absl::Seconds(1));
  rollback.Add("a", Note("a"));
  rollback.Add("b", Note("b", absl::UnavailableError("busy")));
  const absl::Status status = rollback.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("b: busy"));
  EXPECT_THAT(ran_, ElementsAre("b", "a"));
}

TEST_F(RollbackTest, BarrierKeepsWhatAFailedStepStillNeeds) {
  Rollback rollback(absl::Seconds(1));
  rollback.Add("delete netns", Note("netns"));
  rollback.Barrier();
  rollback.Add("cni del", Note("cni", absl::UnavailableError("no address")));
  rollback.Add("stop vm", Note("vm"));
  const absl::Status status = rollback.Run();
  EXPECT_THAT(ran_, ElementsAre("vm", "cni"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("delete netns: left"));
}

TEST_F(RollbackTest, DeadlineIsTheRollbacksOwn) {
  absl::Time seen;
  Rollback rollback(absl::Seconds(30));
  rollback.Add("a", [&](absl::Time deadline) {
    seen = deadline;
    return absl::OkStatus();
  });
  const absl::Time before = absl::Now();
  ASSERT_TRUE(rollback.Run().ok());
  EXPECT_GE(seen, before + absl::Seconds(30));
}

}  // namespace
}  // namespace podvisor
