#include "storage/image_store.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/process.h"
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

TEST_F(ImageStoreTest, NamesAreAsCriWantsThem) {
  const PushedImage pushed = PushImage(registry_, "one", "a", SmallImage());
  PushImage(registry_, "one", "b", SmallImage());
  PushImage(registry_, "other/repository", "c", SmallImage());
  const std::string by_digest = Name("one@") + pushed.target.ToString();
  ASSERT_OK(store_->Pull(by_digest, {}));
  EXPECT_THAT(store_->Find(by_digest)->repo_tags, IsEmpty());
  EXPECT_THAT(store_->Find(by_digest)->repo_digests, ElementsAre(by_digest));
  for (const char* name : {"one:a", "one:b", "other/repository:c"})
    EXPECT_EQ(*store_->Pull(Name(name), {}), pushed.id.ToString());
  ASSERT_THAT(store_->List(), SizeIs(1));
  const Image image = store_->List()[0];
  EXPECT_THAT(image.repo_tags, UnorderedElementsAre(Name("one:a"), Name("one:b"), Name("other/repository:c")));
  EXPECT_THAT(image.repo_digests,
              UnorderedElementsAre(by_digest, Name("other/repository@") + pushed.target.ToString()));
  for (const std::string& reference : {Name("one:a"), by_digest, pushed.id.ToString(), pushed.id.hex(),
                                       pushed.id.hex().substr(0, 13), "sha256:" + pushed.id.hex().substr(0, 13)})
    EXPECT_THAT(store_->Find(reference), IsOk()) << reference;
  EXPECT_EQ(registry_.Count(pushed.layers[0].hex()), 1) << "a layer that is here is not fetched again";
  ASSERT_OK(store_->Remove(Name("one:b")));
  EXPECT_THAT(store_->List(), IsEmpty()) << "one name drops all";
  EXPECT_OK(store_->Remove(Name("one:b")));
  EXPECT_THAT(store_->Remove("not a reference"), StatusIs(StatusCode::kInvalidArgument));
  ExpectNothingLeft();
}

TEST_F(ImageStoreTest, ATagMovesToTheNewImage) {
  const PushedImage old_image = PushImage(registry_, "app", "v", SmallImage("old"));
  ASSERT_OK(store_->Pull(Name("app:v"), {}));
  const PushedImage new_image = PushImage(registry_, "app", "v", SmallImage("new"));
  EXPECT_EQ(*store_->Pull(Name("app:v"), {}), new_image.id.ToString());
  EXPECT_THAT(store_->Find(old_image.id.ToString())->repo_tags, IsEmpty());
  EXPECT_EQ(registry_.Count(old_image.layers[0].hex()), 1) << "the base is shared";
  Reopen();
  EXPECT_THAT(store_->List(), SizeIs(2));
  ASSERT_OK(store_->Remove(old_image.id.hex()));
  EXPECT_THAT(store_->Lease(Name("app:v"), "c"), IsOk()) << "what is shared stays";
  EXPECT_EQ(::access((options_.root + "/blobs/sha256/" + new_image.layers[0].hex()).c_str(), F_OK), 0);
}

TEST_F(ImageStoreTest, ManyAtOnce) {
  const PushedImage pushed = PushImage(registry_, "app", "v", SmallImage());
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) threads.emplace_back([&] { EXPECT_OK(store_->Pull(Name("app:v"), {})); });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  for (const Digest& layer : pushed.layers) EXPECT_EQ(registry_.Count(layer.hex()), 1) << "fetched once";
  for (int i = 0; i < 5; ++i) threads.emplace_back([&] { EXPECT_OK(store_->Remove(Name("app:v"))); });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  ExpectNothingLeft();
  // Pulling and removing the same image must never meet half of it.
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) {
        if (i % 2 == 0)
          EXPECT_OK(store_->Pull(Name("app:v"), {}));
        else
          EXPECT_OK(store_->Remove(Name("app:v")));
      }
    });
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(store_->Pull(Name("app:v"), {}));
  ASSERT_OK(store_->Lease(Name("app:v"), "c"));
}

TEST_F(ImageStoreTest, FailedPullsAreClearAndLeaveNothingListed) {
  const PushedImage pushed = PushImage(registry_, "app", "v", SmallImage());
  TestImage foreign = SmallImage("foreign");
  foreign.architecture = "sparc";
  PushImage(registry_, "app", "sparc", foreign);
  registry_.PutManifest("app", "old", R"({"schemaVersion":1})", "application/vnd.docker.distribution.manifest.v1+json");
  registry_.PutManifest("app", "garbage", "{{{", "application/vnd.oci.image.manifest.v1+json");
  registry_.PutManifest("app", "huge", std::string(5 << 20, ' '), "application/vnd.oci.image.manifest.v1+json");
  const std::string layer = pushed.layers[1].hex();
  const struct {
    const char* name;
    std::string part;
    FakeRegistry::Fault fault;
    StatusCode code;
    const char* message;
  } cases[] = {
      {"missing", "", {}, StatusCode::kNotFound, "404"},
      {"sparc", "", {}, StatusCode::kNotFound, "sparc"},
      {"old", "", {}, StatusCode::kUnimplemented, "schema 1"},
      {"garbage", "", {}, StatusCode::kDataLoss, "JSON"},
      {"huge", "", {}, StatusCode::kDataLoss, "4 MiB"},
      {"v", "manifests", {.kind = Kind::kStatus, .status = 403}, StatusCode::kPermissionDenied, "403"},
      {"v", "manifests", {.kind = Kind::kStatus, .status = 401}, StatusCode::kUnauthenticated, "401"},
      {"v", layer, {.kind = Kind::kCorrupt}, StatusCode::kDataLoss, "wrong digest"},
      {"v", layer, {.kind = Kind::kShort, .bytes = 10}, StatusCode::kDataLoss, "truncated"},
      {"v", layer, {.kind = Kind::kTruncate, .bytes = 0}, StatusCode::kUnavailable, "v"},
      {"v", layer, {.kind = Kind::kStatus, .status = 404}, StatusCode::kNotFound, "404"},
      {"v", layer, {.kind = Kind::kStatus, .status = 503}, StatusCode::kUnavailable, "503"},
  };
  for (const auto& c : cases) {
    if (!c.part.empty()) registry_.Misbehave(c.part, c.fault, 20);
    EXPECT_THAT(store_->Pull(Name(std::string("app:") + c.name), {}), StatusIs(c.code, c.message))
        << c.name << c.message;
    EXPECT_THAT(store_->List(), IsEmpty());
    EXPECT_THAT(In("tmp"), IsEmpty());
    EXPECT_THAT(In("images"), IsEmpty());
    registry_.Behave();
  }
  EXPECT_THAT(store_->Pull("127.0.0.1:1/app:v", {}), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(store_->Pull("UPPER", {}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_OK(store_->Pull(Name("app:v"), {})) << "and then it works";
}

TEST_F(ImageStoreTest, LayersMustBeWhatTheConfigurationSays) {
  TestImage image = SmallImage();
  const PushedImage good = PushImage(registry_, "app", "good", image);
  // The same configuration over other layers.
  std::string manifest =
      absl::StrCat(R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")",
                   good.id.ToString(), R"(","size":)", good.config.size(), R"(},"layers":[)");
  for (int i = 0; i < 2; ++i) {
    const std::string evil = Compress(MakeTar({{.name = "evil"}}), Compression::kGzip);
    absl::StrAppend(&manifest, i == 0 ? "" : ",",
                    R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")",
                    registry_.PutBlob(evil).ToString(), R"(","size":)", evil.size(), "}");
  }
  registry_.PutManifest("app", "evil", manifest + "]}", "application/vnd.oci.image.manifest.v1+json");
  EXPECT_THAT(store_->Pull(Name("app:evil"), {}), StatusIs(StatusCode::kDataLoss, "uncompressed it is"));
  EXPECT_THAT(store_->List(), IsEmpty());
  EXPECT_THAT(In("tmp"), IsEmpty());
}

TEST_F(ImageStoreTest, DeadlineAndCancellationAreNoticedInAStall) {
  const PushedImage pushed = PushImage(registry_, "app", "v", SmallImage());
  EXPECT_THAT(store_->Pull(Name("app:v"), {.deadline = absl::Now() + absl::Milliseconds(1)}),
              StatusIs(StatusCode::kDeadlineExceeded));
  registry_.Misbehave(pushed.layers[0].hex(), {.kind = Kind::kStall, .bytes = 5});
  EXPECT_THAT(store_->Pull(Name("app:v"), {.deadline = absl::Now() + absl::Milliseconds(500)}),
              StatusIs(StatusCode::kDeadlineExceeded));
  registry_.Misbehave(pushed.layers[0].hex(), {.kind = Kind::kStall, .bytes = 5});
  std::atomic<bool> cancelled{false};
  std::thread canceller([&] {
    registry_.AwaitStall();
    cancelled = true;
  });
  EXPECT_THAT(store_->Pull(Name("app:v"), {.cancelled = &cancelled}), StatusIs(StatusCode::kCancelled));
  canceller.join();
  EXPECT_THAT(In("tmp"), IsEmpty());
  options_.stall_timeout = absl::Milliseconds(300);
  Reopen();
  registry_.Misbehave(pushed.layers[0].hex(), {.kind = Kind::kStall, .bytes = 5});
  EXPECT_THAT(store_->Pull(Name("app:v"), {}), StatusIs(StatusCode::kUnavailable, "stalled"));
}

TEST_F(ImageStoreTest, AWaiterTakesOverWhenTheFirstGivesUp) {
  const PushedImage pushed = PushImage(registry_, "app", "v", SmallImage());
  registry_.Misbehave(pushed.layers[0].hex(), {.kind = Kind::kStall, .bytes = 5});
  std::atomic<bool> cancelled{false};
  std::thread first(
      [&] { EXPECT_THAT(store_->Pull(Name("app:v"), {.cancelled = &cancelled}), StatusIs(StatusCode::kCancelled)); });
  registry_.AwaitStall();
  std::thread second([&] { EXPECT_OK(store_->Pull(Name("app:v"), {})); });
  cancelled = true;
  first.join();
  second.join();
}

TEST_F(ImageStoreTest, ProgressReachesTheTotal) {
  PushImage(registry_, "app", "v", SmallImage());
  absl::Mutex mu;
  std::vector<PullProgress> seen;
  PullOptions options;
  options.progress = [&](const PullProgress& progress) {
    absl::MutexLock lock(&mu);
    seen.push_back(progress);
  };
  ASSERT_OK(store_->Pull(Name("app:v"), options));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front().stage, "resolving");
  EXPECT_EQ(seen.back().stage, "done");
  EXPECT_EQ(seen.back().bytes_done, seen.back().bytes_total);
  EXPECT_EQ(seen.back().bytes_total, store_->List()[0].size_bytes);
}

TEST_F(ImageStoreTest, RestartRemovesOrphansAndForgetsWhatIsGone) {
  const PushedImage kept = PushImage(registry_, "app", "kept", SmallImage("kept"));
  const PushedImage lost = PushImage(registry_, "app", "lost", SmallImage("lost"));
  ASSERT_OK(store_->Pull(Name("app:kept"), {}));
  ASSERT_OK(store_->Pull(Name("app:lost"), {}));
  // As after kill -9 in the middle of everything.
  ASSERT_OK(MakeFolders(options_.root + "/tmp/unpack.x/root/etc"));
  ASSERT_OK(MakeFolders(options_.root + "/images/" + Digest::Of("no record").hex()));
  ASSERT_OK(MakeFolders(options_.root + "/trash/7"));
  const std::string orphan = options_.root + "/blobs/sha256/" + Digest::Of("orphan").hex();
  ASSERT_EQ(::symlink("/", orphan.c_str()), 0);
  ASSERT_OK(RemoveTree(options_.root + "/images/" + lost.id.hex()));
  Reopen();
  EXPECT_THAT(In("images"), ElementsAre(kept.id.hex()));
  EXPECT_THAT(In("tmp"), IsEmpty());
  EXPECT_THAT(In("trash"), IsEmpty());
  EXPECT_THAT(In("blobs/sha256"), SizeIs(4));  // configuration, manifest, two layers
  EXPECT_THAT(store_->List(), SizeIs(1));
  EXPECT_OK(store_->Pull(Name("app:lost"), {}));
  const auto usage = store_->FsUsage();
  ASSERT_OK(usage);
  EXPECT_GT(usage->used_bytes, 8192u);
  EXPECT_GT(usage->inodes_used, 10u);
  EXPECT_EQ(usage->mountpoint, options_.root);
}

TEST_F(ImageStoreTest, LeasesBelongToOneImage) {
  PushImage(registry_, "app", "a", SmallImage("a"));
  PushImage(registry_, "app", "b", SmallImage("b"));
  ASSERT_OK(store_->Pull(Name("app:a"), {}));
  ASSERT_OK(store_->Pull(Name("app:b"), {}));
  const auto first = store_->Lease(Name("app:a"), "c");
  ASSERT_OK(first);
  EXPECT_EQ(store_->Lease(Name("app:a"), "c")->erofs_path, first->erofs_path);
  EXPECT_THAT(store_->Lease(Name("app:b"), "c"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store_->Lease(Name("app:a"), ""), StatusIs(StatusCode::kInvalidArgument));
  // Removed and pulled again while it is in use: the same image, listed again with only the new name.
  ASSERT_OK(store_->Remove(Name("app:a")));
  ASSERT_OK(store_->Pull(Name("app:a"), {}));
  ASSERT_OK(store_->Release("c"));
  EXPECT_THAT(store_->Find(Name("app:a")), IsOk());
}

TEST_F(ImageStoreTest, PinnedImages) {
  options_.pinned_images = {Name("app:v")};
  Reopen();
  PushImage(registry_, "app", "v", SmallImage("a"));
  PushImage(registry_, "app", "w", SmallImage("b"));
  ASSERT_OK(store_->Pull(Name("app:v"), {}));
  ASSERT_OK(store_->Pull(Name("app:w"), {}));
  EXPECT_TRUE(store_->Find(Name("app:v"))->pinned);
  EXPECT_FALSE(store_->Find(Name("app:w"))->pinned);
}

TEST_F(ImageStoreTest, FullDisk) {
  absl::Status status, after;
  std::thread([&] {  // a thread, for a mount name space that goes with it
    if (::unshare(CLONE_FS | CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      status = absl::UnimplementedError("no name space here");
      return;
    }
    const std::string small = root_ + "/small";
    ASSERT_OK(MakeFolders(small));
    ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=4m"), 0);
    options_.root = small + "/images";
    auto store = ImageStore::Create(options_, *db_);
    ASSERT_OK(store);
    PushImage(registry_, "app", "big",
              {.layers = {MakeTar({{.name = "zeros", .content = std::string(3 << 20, '\0')}})}});
    status = (*store)->Pull(Name("app:big"), {}).status();  // fits unpacked, but not a second time as EROFS
    EXPECT_THAT(*ListFolder(options_.root + "/blobs/sha256"), IsEmpty()) << "nothing is kept on a full disk";
    PushImage(registry_, "app", "small", SmallImage());
    after = (*store)->Pull(Name("app:small"), {}).status();
  })
      .join();
  if (absl::IsUnimplemented(status)) GTEST_SKIP() << status;
  EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted, "disk"));
  EXPECT_OK(after);
}

TEST_F(ImageStoreTest, TheErofsImageHoldsTheTree) {
  TestImage image = SmallImage();
  image.layers.push_back(MakeTar({{.name = "bin/su", .content = "program", .mode = 04755, .uid = 7, .mtime = 77},
                                  {.type = '1', .name = "bin/hard", .link = "bin/su"},
                                  {.type = '2', .name = "link", .link = "bin/su"},
                                  {.type = '3', .name = "null", .major = 1, .minor = 3},
                                  {.name = "caps", .pax = {{"SCHILY.xattr.user.note", "value"}}},
                                  {.name = ".wh.text"}}));
  const PushedImage pushed = PushImage(registry_, "app", "v", image);
  ASSERT_OK(store_->Pull(Name("app:v"), {}));
  const auto lease = store_->Lease(Name("app:v"), "c");
  ASSERT_OK(lease);
  bool mounted = false;
  std::thread([&] {  // a thread, for a mount name space that goes with it, and the loop device with that
    if (::unshare(CLONE_FS | CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return;
    const std::string out = root_ + "/out";
    ASSERT_OK(MakeFolders(out));
    SpawnOptions mount;
    mount.argv = {"/bin/mount", "-t", "erofs", "-o", "loop,ro", lease->erofs_path, out};
    const auto result = RunCommand(mount, "", absl::Now() + absl::Seconds(60));
    ASSERT_OK(result);
    if (!result->exit.success()) return;  // no EROFS or no loop devices here
    mounted = true;
    struct stat st;
    ASSERT_EQ(::lstat((out + "/bin/su").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 04755u);
    EXPECT_EQ(st.st_uid, 7u);
    EXPECT_EQ(st.st_mtime, 77);
    EXPECT_EQ(st.st_nlink, 2u);
    ASSERT_EQ(::lstat((out + "/bin").c_str(), &st), 0);
    EXPECT_EQ(st.st_mtime, 0) << "a folder that no layer states";
    ASSERT_EQ(::lstat((out + "/null").c_str(), &st), 0);
    EXPECT_EQ(st.st_rdev, ::makedev(1, 3));
    char value[16];
    EXPECT_EQ(::lgetxattr((out + "/caps").c_str(), "user.note", value, sizeof value), 5);
    EXPECT_EQ(*ReadFile(out + "/link", 100), "program");
    EXPECT_NE(::access((out + "/text").c_str(), F_OK), 0);
  })
      .join();
  // The same content gives the same file.
  const auto before = ReadFile(lease->erofs_path, 64 << 20);
  ASSERT_OK(store_->Release("c"));
  ASSERT_OK(store_->Remove(pushed.id.hex()));
  ASSERT_OK(store_->Pull(Name("app:v"), {}));
  EXPECT_TRUE(*ReadFile(store_->Lease(Name("app:v"), "c")->erofs_path, 64 << 20) == *before);
  if (!mounted) GTEST_SKIP() << "EROFS can't be mounted here";
}

}  // namespace
}  // namespace podvisor
