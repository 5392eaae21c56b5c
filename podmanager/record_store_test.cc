#include "podmanager/record_store.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using absl::StatusCode;

class RecordStoreTest : public testing::Test {
 protected:
  static SandboxRecord Sandbox(const std::string& id) {
    SandboxRecord record;
    record.set_id(id);
    record.mutable_config()->mutable_metadata()->set_name("pod");
    return record;
  }

  std::unique_ptr<StateDb> db_ = *StateDb::Open(":memory:");
  RecordStore store_{*db_};
};

TEST_F(RecordStoreTest, KeepsWhatWasPut) {
  ASSERT_OK(store_.Put(Sandbox("a")));
  ContainerRecord container;
  container.set_id("c");
  container.set_sandbox_id("a");
  ASSERT_OK(store_.Put(container));
  auto loaded = store_.Load();
  ASSERT_OK(loaded);
  ASSERT_EQ(loaded->sandboxes.size(), 1u);
  EXPECT_EQ(loaded->sandboxes[0].config().metadata().name(), "pod");
  ASSERT_EQ(loaded->containers.size(), 1u);
  EXPECT_EQ(loaded->containers[0].sandbox_id(), "a");
  EXPECT_OK(store_.DeleteSandbox("a"));
  EXPECT_OK(store_.DeleteSandbox("a"));
  EXPECT_OK(store_.DeleteContainer("c"));
  EXPECT_TRUE(store_.Load()->sandboxes.empty());
}

TEST_F(RecordStoreTest, DamagedRowsAreReportedAndGone) {
  ASSERT_OK(store_.Put(Sandbox("a")));
  ASSERT_OK(db_->Put("sandboxes", "b", "\xff\xff\xff garbage"));
  ASSERT_OK(db_->Put("sandboxes", "c", ""));
  auto loaded = store_.Load();
  ASSERT_OK(loaded);
  EXPECT_THAT(loaded->unreadable, testing::ElementsAre("sandboxes/b", "sandboxes/c"));
  EXPECT_EQ(loaded->sandboxes.size(), 1u);
  EXPECT_TRUE(store_.Load()->unreadable.empty());
}

TEST_F(RecordStoreTest, RefusesRecordsOfANewerDaemon) {
  SandboxRecord record = Sandbox("a");
  record.set_version(kRecordVersion + 1);
  ASSERT_OK(db_->Put("sandboxes", "a", record.SerializeAsString()));
  EXPECT_THAT(store_.Load(), StatusIs(StatusCode::kFailedPrecondition, "newer podvisord"));
}

TEST_F(RecordStoreTest, FrozenStoreWritesNothing) {
  ASSERT_OK(store_.Put(Sandbox("a")));
  store_.Freeze();
  EXPECT_THAT(store_.DeleteSandbox("a"), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(store_.Put(Sandbox("b")), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(store_.Load()->sandboxes.size(), 1u);
}

}  // namespace
}  // namespace podvisor
