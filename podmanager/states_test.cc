#include <set>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/container_state.h"
#include "podmanager/sandbox_state.h"

namespace podvisor {
namespace {

using S = SandboxPhase;
using C = ContainerPhase;

// Every pair is looked at: what is not listed is not allowed.
TEST(SandboxPhaseTest, TransitionsAreExactlyThese) {
  const std::set<std::pair<S, S>> allowed = {
      {S::kCreating, S::kReady},  {S::kCreating, S::kFailed},  {S::kReady, S::kStopping},  {S::kReady, S::kFailed},
      {S::kFailed, S::kStopping}, {S::kStopping, S::kStopped}, {S::kStopping, S::kFailed}, {S::kStopped, S::kRemoving},
  };
  for (S from : kAllSandboxPhases) {
    for (S to : kAllSandboxPhases) {
      EXPECT_EQ(CanTransition(from, to), allowed.count({from, to}) > 0) << Name(from) << " -> " << Name(to);
    }
  }
}

TEST(SandboxPhaseTest, OnlyReadyIsShownAsReady) {
  for (S phase : kAllSandboxPhases) {
    EXPECT_EQ(ShownAs(phase) == SandboxState::kReady, phase == S::kReady) << Name(phase);
  }
}

TEST(SandboxPhaseTest, NamesAndRecordsAreDistinctAndComeBack) {
  std::set<std::string> names;
  for (S phase : kAllSandboxPhases) {
    names.insert(Name(phase));
    EXPECT_EQ(FromRecord(ToRecord(phase)), phase);
    EXPECT_NE(ToRecord(phase), SandboxRecord::UNSPECIFIED);
  }
  EXPECT_EQ(names.size(), kAllSandboxPhases.size());
  EXPECT_EQ(FromRecord(static_cast<SandboxRecord::Phase>(99)), S::kFailed);
}

TEST(ContainerPhaseTest, TransitionsAreExactlyThese) {
  const std::set<std::pair<C, C>> allowed = {
      {C::kCreating, C::kCreated}, {C::kCreating, C::kRemoving}, {C::kCreated, C::kStarting},
      {C::kCreated, C::kExited},   {C::kCreated, C::kRemoving},  {C::kStarting, C::kRunning},
      {C::kStarting, C::kExited},  {C::kStarting, C::kCreated},  {C::kRunning, C::kExited},
      {C::kExited, C::kRemoving},
  };
  for (C from : kAllContainerPhases) {
    for (C to : kAllContainerPhases) {
      EXPECT_EQ(CanTransition(from, to), allowed.count({from, to}) > 0) << Name(from) << " -> " << Name(to);
    }
  }
}

TEST(ContainerPhaseTest, ShownAsCriHasIt) {
  EXPECT_EQ(ShownAs(C::kCreated), ContainerState::kCreated);
  EXPECT_EQ(ShownAs(C::kStarting), ContainerState::kCreated);
  EXPECT_EQ(ShownAs(C::kRunning), ContainerState::kRunning);
  EXPECT_EQ(ShownAs(C::kExited), ContainerState::kExited);
  EXPECT_EQ(ShownAs(C::kRemoving), ContainerState::kExited);
}

TEST(ContainerPhaseTest, NamesAndRecordsAreDistinctAndComeBack) {
  std::set<std::string> names;
  for (C phase : kAllContainerPhases) {
    names.insert(Name(phase));
    EXPECT_EQ(FromRecord(ToRecord(phase)), phase);
    EXPECT_NE(ToRecord(phase), ContainerRecord::UNSPECIFIED);
  }
  EXPECT_EQ(names.size(), kAllContainerPhases.size());
  EXPECT_EQ(FromRecord(static_cast<ContainerRecord::Phase>(99)), C::kRemoving);
}

}  // namespace
}  // namespace podvisor
