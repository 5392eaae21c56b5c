#include "podmanager/task_group.h"

#include <atomic>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/timestamps.h"
#include "podmanager/turn.h"

namespace podvisor {
namespace {

using absl::StatusCode;

TEST(TaskGroupTest, WorkGoesOnAfterItsCallerGaveUp) {
  absl::Notification go;
  std::atomic<bool> done{false};
  {
    TaskGroup tasks;
    EXPECT_THAT(tasks.Perform(absl::Now() + absl::Milliseconds(1), "work",
                              [&] {
                                go.WaitForNotification();
                                done = true;
                                return absl::OkStatus();
                              }),
                StatusIs(StatusCode::kDeadlineExceeded, "work: still under way"));
    EXPECT_FALSE(tasks.Wait(absl::Now()));
    go.Notify();
  }
  EXPECT_TRUE(done) << "the destructor waits";
}

TEST(TaskGroupTest, AllRunsTogetherAndReturnsTheFirstError) {
  TaskGroup tasks;
  absl::Notification second_runs;
  EXPECT_THAT(tasks.All({[&] {
                           second_runs.WaitForNotification();
                           return absl::OkStatus();
                         },
                         [&] {
                           second_runs.Notify();
                           return absl::UnavailableError("two");
                         },
                         [] { return absl::InternalError("three"); }}),
              StatusIs(StatusCode::kUnavailable, "two"));
  EXPECT_OK(tasks.All({}));
}

TEST(TurnsTest, OneAtATime) {
  Turns turns;
  absl::StatusOr<Turn> first = turns.Take(absl::Now(), "sandbox a");
  ASSERT_OK(first);
  EXPECT_THAT(turns.Take(absl::Now() + absl::Milliseconds(1), "sandbox a"),
              StatusIs(StatusCode::kDeadlineExceeded, "sandbox a"));
  first->End();
  EXPECT_OK(turns.Take(absl::Now(), "sandbox a"));
}

TEST(GateTest, ClosedGateLetsNobodyInAndWaitsForThoseInside) {
  Gate gate;
  {
    absl::StatusOr<Gate::Pass> pass = gate.Enter("sandbox a");
    ASSERT_OK(pass);
    gate.Close();
    EXPECT_THAT(gate.Enter("sandbox a"), StatusIs(StatusCode::kFailedPrecondition, "sandbox a"));
    EXPECT_FALSE(gate.AwaitEmpty(absl::Now()));
  }
  EXPECT_TRUE(gate.AwaitEmpty(absl::Now()));
}

TEST(TimestampsTest, StrictlyIncrease) {
  Timestamps timestamps;
  const absl::Time future = absl::Now() + absl::Hours(1);
  timestamps.NotBefore(future);
  const absl::Time first = timestamps.Next();
  EXPECT_GT(first, future);
  EXPECT_EQ(timestamps.Next() - first, absl::Nanoseconds(1));
}

}  // namespace
}  // namespace podvisor
