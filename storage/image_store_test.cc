#include "storage/image_store.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "base/state_db.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/durable_file.h"
#include "storage/registry/fake_registry.h"
#include "storage/testing/image_builder.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using Kind = FakeRegistry::Fault::Kind;

class ImageStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking images needs root";
    if (::access("/usr/bin/mkfs.erofs", X_OK) != 0) GTEST_SKIP() << "mkfs.erofs is not installed";
    ASSERT_OK(RemoveTree(root_));
    ASSERT_OK(MakeFolders(root_));
    options_.root = root_ + "/images";
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    db_.reset();
    EXPECT_OK(RemoveTree(root_));
  }

  // As after a restart of the daemon.
  void Reopen() {
    store_.reset();
    db_.reset();
    auto db = StateDb::Open(root_ + "/state.db");
    ASSERT_OK(db);
    db_ = *std::move(db);
    auto store = ImageStore::Create(options_, *db_);
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

  std::string Name(const std::string& rest) const { return registry_.host() + "/" + rest; }

  static TestImage SmallImage(const std::string& text = "hello") {
    return {.layers = {MakeTar({{.type = '5', .name = "etc", .mode = 0755},
                                {.name = "etc/passwd", .content = "root:x:0:0::/:/bin/sh\n"},
                                {.name = "etc/group", .content = "root:x:0:\n"}}),
                       MakeTar({{.name = "text", .content = text}})}};
  }

  std::vector<std::string> In(const std::string& folder) const {
    auto names = ListFolder(options_.root + "/" + folder);
    return names.ok() ? *names : std::vector<std::string>{"missing"};
  }
  void ExpectNothingLeft() const {
    for (const char* folder : {"tmp", "trash", "images", "blobs/sha256"}) EXPECT_THAT(In(folder), IsEmpty()) << folder;
  }

  const std::string root_ = testing::TempDir() + "/image-store";
  FakeRegistry registry_;
  ImageStoreOptions options_;
  std::unique_ptr<StateDb> db_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(ImageStoreTest, PullsEveryFormAndCompression) {
  for (const auto form :
       {TestImage::Form::kDocker, TestImage::Form::kOci, TestImage::Form::kDockerList, TestImage::Form::kOciIndex})
    for (const auto compression : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
      TestImage image = SmallImage(absl::StrCat("form ", form, " ", compression));
      image.form = form;
      image.compression = compression;
      const PushedImage pushed = PushImage(registry_, "app", "v1", image);
      const auto id = store_->Pull(Name("app:v1"), {});
      ASSERT_OK(id);
      EXPECT_EQ(*id, pushed.id.ToString());
      const auto found = store_->Find(Name("app:v1"));
      ASSERT_OK(found);
      EXPECT_EQ(found->id, *id);
      EXPECT_EQ(found->config_json, pushed.config);
      EXPECT_THAT(found->config.cmd, ElementsAre("sh"));
      EXPECT_EQ(found->config.stop_signal, "SIGQUIT");
      EXPECT_THAT(found->repo_tags, ElementsAre(Name("app:v1")));
      EXPECT_THAT(found->repo_digests, ElementsAre(Name("app@") + pushed.target.ToString()));
    }
  EXPECT_THAT(store_->List(), SizeIs(12));  // the tag went from one to the next, the digests stayed
}

TEST_F(ImageStoreTest, LeaseGivesAnErofsImageThatOutlivesRemoval) {
  const PushedImage pushed = PushImage(registry_, "app", "v1", SmallImage());
  ASSERT_OK(store_->Pull(Name("app:v1"), {}));
  const auto lease = store_->Lease(Name("app:v1"), "container");
  ASSERT_OK(lease);
  EXPECT_EQ(lease->passwd, "root:x:0:0::/:/bin/sh\n");
  EXPECT_EQ(lease->group, "root:x:0:\n");
  EXPECT_EQ(lease->image.id, pushed.id.ToString());
  ASSERT_OK(store_->Remove(pushed.id.ToString()));
  EXPECT_THAT(store_->List(), IsEmpty());
  EXPECT_THAT(store_->Find(Name("app:v1")), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_->Lease(Name("app:v1"), "other"), StatusIs(StatusCode::kNotFound));
  Reopen();
  EXPECT_THAT(store_->LeaseHolders(), ElementsAre("container"));
  const auto again = store_->Lease(Name("app:v1"), "container");
  ASSERT_OK(again);
  EXPECT_EQ(::access(again->erofs_path.c_str(), R_OK), 0);
  ASSERT_OK(store_->Release("container"));
  EXPECT_OK(store_->Release("container"));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace podvisor
