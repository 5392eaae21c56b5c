#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/content_store.h"
#include "storage/content/digest.h"
#include "storage/content/durable_file.h"
#include "storage/content/keyed_gate.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ContentStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(RemoveTree(root_));
    ASSERT_OK(MakeFolders(root_));
    auto store = ContentStore::Open(root_, root_ + "/tmp");
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  void TearDown() override { EXPECT_OK(RemoveTree(root_)); }

  const std::string root_ = testing::TempDir() + "/content";
  std::unique_ptr<ContentStore> store_;
};

TEST(DigestTest, IsSha256) {
  EXPECT_EQ(Digest::Of("").ToString(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(*Digest::Parse(Digest::Of("x").ToString()), Digest::Of("x"));
  EXPECT_THAT(Digest::Parse("md5:00"), StatusIs(absl::StatusCode::kInvalidArgument, "sha256"));
}

TEST_F(ContentStoreTest, KeepsWhatIsVerified) {
  const std::string content = "layer";
  auto writer = store_->Begin(Digest::Of(content), content.size());
  ASSERT_OK(writer);
  ASSERT_OK((*writer)->Write("wrong"));
  ASSERT_OK((*writer)->Restart());
  ASSERT_OK((*writer)->Write("lay"));
  EXPECT_FALSE(store_->Has(Digest::Of(content)));
  ASSERT_OK((*writer)->Write("er"));
  ASSERT_OK((*writer)->Commit());
  EXPECT_EQ(*store_->Read(Digest::Of(content), 100), content);
  EXPECT_THAT(store_->Read(Digest::Of(content), 2), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store_->Read(Digest::Of("other"), 100), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(*store_->List(), ElementsAre(Digest::Of(content).hex()));
}

TEST_F(ContentStoreTest, RefusesWhatIsNotAndLeavesNothing) {
  const Digest digest = Digest::Of("good");
  {
    auto writer = store_->Begin(digest, 4);
    ASSERT_OK((*writer)->Write("evil"));
    EXPECT_THAT((*writer)->Commit(), StatusIs(absl::StatusCode::kDataLoss, "wrong digest"));
  }
  {
    auto writer = store_->Begin(digest, 4);
    ASSERT_OK((*writer)->Write("goo"));
    EXPECT_THAT((*writer)->Commit(), StatusIs(absl::StatusCode::kDataLoss, "truncated"));
    EXPECT_THAT((*writer)->Write("d and more"), StatusIs(absl::StatusCode::kDataLoss, "more than"));
  }
  EXPECT_THAT(*store_->List(), IsEmpty());
  EXPECT_THAT(*ListFolder(root_ + "/tmp"), IsEmpty());
}

TEST_F(ContentStoreTest, DamageOnDiskIsNoticed) {
  ASSERT_OK(store_->Put(Digest::Of("config"), "config"));
  std::ofstream(store_->Path(Digest::Of("config"))) << "rotten";
  EXPECT_THAT(store_->Read(Digest::Of("config"), 100), StatusIs(absl::StatusCode::kDataLoss, "damaged"));
}

TEST_F(ContentStoreTest, RemoveTreeDoesNotFollowLinks) {
  const std::string outside = root_ + "/outside";
  ASSERT_OK(MakeFolders(outside));
  std::ofstream(outside + "/kept") << "x";
  ASSERT_OK(MakeFolders(root_ + "/tree/a/b"));
  ASSERT_EQ(::symlink(outside.c_str(), (root_ + "/tree/a/link").c_str()), 0);
  ASSERT_OK(RemoveTree(root_ + "/tree"));
  EXPECT_NE(::access((root_ + "/tree").c_str(), F_OK), 0);
  EXPECT_EQ(::access((outside + "/kept").c_str(), F_OK), 0);
  EXPECT_OK(RemoveTree(root_ + "/tree"));
}

TEST(KeyedGateTest, OneAtATimeAndAWaiterCanGiveUp) {
  KeyedGate gate;
  std::atomic<bool> cancelled{false};
  std::atomic<int> inside{0};
  {
    auto pass = gate.Enter("a", {});
    ASSERT_OK(pass);
    EXPECT_OK(gate.Enter("b", {}));
    EXPECT_THAT(gate.Enter("a", {.deadline = absl::Now() + absl::Milliseconds(30)}),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
    std::thread canceller([&] { cancelled = true; });
    EXPECT_THAT(gate.Enter("a", {.cancelled = &cancelled}), StatusIs(absl::StatusCode::kCancelled));
    canceller.join();
  }
  std::vector<std::thread> workers;
  for (int i = 0; i < 8; ++i)
    workers.emplace_back([&] {
      auto pass = gate.Enter("a", {});
      ASSERT_OK(pass);
      EXPECT_EQ(++inside, 1);
      std::this_thread::yield();
      --inside;
    });
  for (std::thread& worker : workers) worker.join();
}

}  // namespace
}  // namespace podvisor
