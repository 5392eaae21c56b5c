#include "storage/image/layer_unpacker.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/durable_file.h"
#include "storage/testing/tar_builder.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::UnorderedElementsAre;

class LayerUnpackerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking needs root";
    ASSERT_OK(RemoveTree(base_));
    ASSERT_OK(MakeFolders(base_));
    NewTree();
  }
  void TearDown() override { EXPECT_OK(RemoveTree(base_)); }

  void NewTree() {
    tree_.reset();
    ASSERT_OK(RemoveTree(root_));
    auto tree = LayerTree::Create(root_);
    ASSERT_OK(tree);
    tree_ = std::make_unique<LayerTree>(*std::move(tree));
  }
  absl::Status ApplyTar(const std::string& tar, const Interruption& interruption = {}) {
    std::ofstream(base_ + "/layer", std::ios::binary) << tar;
    return ApplyLayer(base_ + "/layer", base_, *tree_, interruption).status();
  }
  absl::Status Apply(const std::vector<TarEntry>& entries) { return ApplyTar(MakeTar(entries)); }

  std::string Read(const std::string& path) const {
    std::ifstream file(root_ + "/" + path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  struct stat Stat(const std::string& path) const {
    struct stat st = {};
    EXPECT_EQ(::lstat((root_ + "/" + path).c_str(), &st), 0) << path;
    return st;
  }
  bool Exists(const std::string& path) const {
    return ::faccessat(AT_FDCWD, (root_ + "/" + path).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  }
  std::vector<std::string> Names(const std::string& path) const { return *ListFolder(root_ + "/" + path); }

  const std::string base_ = testing::TempDir() + "/layers";
  const std::string root_ = base_ + "/root";
  std::unique_ptr<LayerTree> tree_;
};

TEST_F(LayerUnpackerTest, KeepsAllMetadata) {
  ASSERT_OK(Apply({
      {.type = '5', .name = "./", .mode = 0755},
      {.type = '5', .name = "bin", .mode = 01777, .mtime = 1234},
      {.name = "bin/su", .content = "program", .mode = 04755, .uid = 1000, .gid = 1001, .mtime = 77},
      {.type = '1', .name = "bin/hard", .link = "bin/su"},
      {.type = '2', .name = "bin/soft", .link = "/absolute/../target", .uid = 5},
      {.type = '3', .name = "null", .mode = 0666, .major = 1, .minor = 3},
      {.type = '4', .name = "disk", .major = 7, .minor = 1},
      {.type = '6', .name = "fifo", .mode = 0600},
      {.name = "caps",
       .content = "x",
       .pax = {{"SCHILY.xattr.user.note", "value"}, {"SCHILY.xattr.trusted.overlay.opaque", "y"}}},
      {.name = "grüße-☃", .content = "utf8", .pax = {{"path", "grüße-☃"}}},
      {.name = "big-owner", .pax = {{"uid", "4000000000"}}},
  }));
  ASSERT_OK(tree_->ApplyFolderTimes());
  const struct stat su = Stat("bin/su");
  EXPECT_EQ(su.st_mode & 07777, 04755u);
  EXPECT_EQ(su.st_uid, 1000u);
  EXPECT_EQ(su.st_gid, 1001u);
  EXPECT_EQ(su.st_mtime, 77);
  EXPECT_EQ(su.st_nlink, 2u);
  EXPECT_EQ(Stat("bin/hard").st_ino, su.st_ino);
  EXPECT_EQ(Stat("bin").st_mtime, 1234);
  EXPECT_EQ(Stat("bin").st_mode & 07777, 01777u);
  EXPECT_EQ(Stat("bin/soft").st_uid, 5u);
  EXPECT_EQ(Stat("null").st_rdev, ::makedev(1, 3));
  EXPECT_TRUE(S_ISBLK(Stat("disk").st_mode));
  EXPECT_TRUE(S_ISFIFO(Stat("fifo").st_mode));
  EXPECT_EQ(Stat("big-owner").st_uid, 4000000000u);
  EXPECT_EQ(Read("grüße-☃"), "utf8");
  char value[16];
  EXPECT_EQ(::lgetxattr((root_ + "/caps").c_str(), "user.note", value, sizeof value), 5);
  EXPECT_LT(::lgetxattr((root_ + "/caps").c_str(), "trusted.overlay.opaque", value, sizeof value), 0);
  char target[64];
  EXPECT_EQ(::readlink((root_ + "/bin/soft").c_str(), target, sizeof target), 19);
}

TEST_F(LayerUnpackerTest, LaterLayersReplaceAndWhiteOut) {
  ASSERT_OK(Apply({{.name = "a/file", .content = "1"},
                   {.name = "a/gone", .content = "1"},
                   {.name = "b/x", .content = "1"},
                   {.name = "b/y/z", .content = "1"},
                   {.type = '5', .name = "usr/lib"},
                   {.type = '2', .name = "lib", .link = "usr/lib"},
                   {.type = '5', .name = "dir", .mode = 0700},
                   {.name = "dir/in"},
                   {.name = "was-file"}}));
  ASSERT_OK(Apply({
      {.name = "a/file", .content = "2"},
      {.name = "a/.wh.gone"},
      {.name = "b/new", .content = "2"},  // before its folder is made opaque: stays
      {.name = "b/.wh..wh..opq"},
      {.name = "lib/libc", .content = "through the link"},
      {.type = '5', .name = "dir", .mode = 0755},
      {.type = '5', .name = "was-file"},
      {.name = "was-file/in"},
      {.name = ".wh.never-there"},
      {.name = ".wh..wh.plnk"},
  }));
  EXPECT_EQ(Read("a/file"), "2");
  EXPECT_FALSE(Exists("a/gone"));
  EXPECT_THAT(Names("b"), UnorderedElementsAre("new"));
  EXPECT_EQ(Read("usr/lib/libc"), "through the link");
  EXPECT_EQ(Stat("dir").st_mode & 0777, 0755u);
  EXPECT_TRUE(Exists("dir/in"));
  EXPECT_TRUE(Exists("was-file/in"));
  ASSERT_OK(Apply({{.type = '2', .name = "a", .link = "elsewhere"}, {.name = ".wh.b"}, {.name = ".wh.lib"}}));
  EXPECT_TRUE(S_ISLNK(Stat("a").st_mode));
  EXPECT_FALSE(Exists("b"));
  EXPECT_FALSE(Exists("lib"));
  EXPECT_TRUE(Exists("usr/lib/libc")) << "a whiteout takes the link, not what it names";
}

TEST_F(LayerUnpackerTest, EveryCompressionHasTheDigestOfTheTar) {
  const std::string tar = MakeTar({{.name = "f", .content = std::string(300000, 'x')}}) + std::string(10240, '\0');
  for (const auto compression : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    std::ofstream(base_ + "/layer", std::ios::binary) << Compress(tar, compression);
    const auto digest = ApplyLayer(base_ + "/layer", base_, *tree_, {});
    ASSERT_OK(digest);
    EXPECT_EQ(*digest, Digest::Of(tar)) << static_cast<int>(compression);
  }
}

// Nothing outside of the tree may be made, changed or read by any of these.
TEST_F(LayerUnpackerTest, PathTricks) {
  const std::string outside = base_ + "/outside";
  const std::string long_name(300, 'n');
  const std::string deep = [] {
    std::string path;
    for (int i = 0; i < 3000; ++i) path += "d/";
    return path + "f";
  }();
  struct Trick {
    const char* name;
    std::vector<TarEntry> entries;
    const char* error;    // part of the message; empty: must be confined instead
    const char* becomes;  // a path within the tree that must exist then
  };
  const Trick tricks[] = {
      {"dot dot", {{.name = "../outside/evil"}}, "..", ""},
      {"dot dot inside", {{.name = "a/../../outside/evil"}}, "..", ""},
      {"absolute", {{.name = outside + "/evil"}}, "", "absolute"},
      {"link up, then through it",
       {{.type = '2', .name = "l", .link = "../outside"}, {.name = "l/evil"}},
       "",
       "outside/evil"},
      {"absolute link, then through it",
       {{.type = '2', .name = "l", .link = outside}, {.name = "l/evil"}},
       "",
       "absolute"},
      {"link to the root's parent",
       {{.type = '2', .name = "l", .link = "../../../.."}, {.name = "l/confined"}},
       "",
       "confined"},
      {"folder over a link",
       {{.type = '2', .name = "l", .link = outside}, {.type = '5', .name = "l"}, {.name = "l/f"}},
       "",
       "l/f"},
      {"file over a link",
       {{.type = '2', .name = "l", .link = outside + "/kept"}, {.name = "l", .content = "new"}},
       "",
       "l"},
      {"hard link out", {{.type = '1', .name = "h", .link = "../outside/kept"}}, "..", ""},
      {"absolute hard link", {{.type = '1', .name = "h", .link = outside + "/kept"}}, "No such file", ""},
      {"hard link through a link",
       {{.type = '2', .name = "l", .link = outside}, {.type = '1', .name = "h", .link = "l/kept"}},
       "",
       "-"},
      {"hard link to a link, then write",
       {{.type = '2', .name = "l", .link = outside + "/kept"},
        {.type = '1', .name = "h", .link = "l"},
        {.name = "h", .content = "x"}},
       "",
       "h"},
      {"hard link to a folder",
       {{.type = '5', .name = "d"}, {.type = '1', .name = "h", .link = "d"}},
       "hard link to a folder",
       ""},
      {"whiteout of the parent", {{.name = "a/.wh..."}}, "whiteout", ""},
      {"whiteout of the folder itself", {{.name = "a/.wh.."}}, "whiteout", ""},
      {"whiteout of nothing", {{.name = "a/.wh."}}, "whiteout", ""},
      {"whiteout through a link", {{.type = '2', .name = "l", .link = outside}, {.name = "l/.wh.kept"}}, "", "-"},
      {"opaque through a link", {{.type = '2', .name = "l", .link = outside}, {.name = "l/.wh..wh..opq"}}, "", "-"},
      {"link loop", {{.type = '2', .name = "l", .link = "l"}, {.name = "l/f"}}, "symbolic links", ""},
      {"file as a folder", {{.name = "f"}, {.name = "f/g"}}, "Not a directory", ""},
      {"long name", {{.name = long_name}}, "too long", ""},
      {"deep path", {{.name = deep}}, "too long", ""},
      {"owner out of range", {{.name = "f", .pax = {{"uid", "4294967295"}}}}, "owner", ""},
      {"huge sparse file",
       {{.name = "f",
         .pax = {{"GNU.sparse.major", "1"},
                 {"GNU.sparse.minor", "0"},
                 {"GNU.sparse.realsize", "4611686018427387904"}}}},
       "",
       "-"},
  };
  for (const Trick& trick : tricks) {
    SCOPED_TRACE(trick.name);
    NewTree();
    ASSERT_OK(RemoveTree(outside));
    ASSERT_OK(MakeFolders(outside));
    std::ofstream(outside + "/kept") << "kept";
    const absl::Status status = Apply(trick.entries);
    if (*trick.error != '\0') {
      EXPECT_THAT(status, StatusIs(StatusCode::kDataLoss, trick.error));
    } else if (std::string(trick.becomes) == "absolute") {
      EXPECT_OK(status);
      EXPECT_TRUE(Exists(outside.substr(1) + "/evil"));
    } else if (std::string(trick.becomes) != "-") {
      EXPECT_OK(status);
      EXPECT_TRUE(Exists(trick.becomes));
    }
    EXPECT_THAT(*ListFolder(outside), UnorderedElementsAre("kept"));
    std::ifstream kept(outside + "/kept");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(kept), {}), "kept");
    struct stat st;
    ASSERT_EQ(::stat((outside + "/kept").c_str(), &st), 0);
    EXPECT_EQ(st.st_nlink, 1u);
  }
}

TEST_F(LayerUnpackerTest, MalformedTarsAreDataLoss) {
  const std::string good = MakeTar({{.name = "f", .content = std::string(5000, 'x')}});
  std::string huge_header = MakeTar({{.type = 'L', .name = "././@LongLink"}});
  // A long name of 8 GiB is announced.
  huge_header.replace(124, 12, std::string("77777777777\0", 12));
  unsigned int sum = 8 * ' ';
  for (int i = 0; i < 512; ++i)
    sum += i >= 148 && i < 156 ? 0 : static_cast<unsigned char>(huge_header[static_cast<size_t>(i)]);
  char text[8];
  ::snprintf(text, sizeof text, "%06o", sum);
  huge_header.replace(148, 7, std::string(text, 7));
  const std::pair<const char*, std::string> cases[] = {
      {"cut in a file", good.substr(0, 2000)},
      {"cut in a header", good.substr(0, 300)},
      {"no tar", "this is no tar at all, " + std::string(2000, 'z')},
      {"wrong checksum",
       [&] {
         std::string tar = good;
         tar[0] ^= 1;
         return tar;
       }()},
      {"cut gzip", Compress(good, Compression::kGzip).substr(0, 40)},
      {"cut zstd", Compress(good, Compression::kZstd).substr(0, 20)},
      {"huge header", huge_header},
  };
  for (const auto& [name, tar] : cases) {
    NewTree();
    EXPECT_THAT(ApplyTar(tar), StatusIs(StatusCode::kDataLoss)) << name;
  }
  EXPECT_OK(ApplyTar("")) << "an empty layer is one";
}

TEST_F(LayerUnpackerTest, DeepTreesThroughLinksEndAndCanBeRemoved) {
  // Each link leads 100 folders deeper than the one before.
  std::vector<TarEntry> entries;
  std::string chain;
  for (int i = 0; i < 100; ++i) chain += "d/";
  entries.push_back({.type = '5', .name = chain});
  for (int i = 0; i < 5; ++i) {
    entries.push_back(
        {.type = '2', .name = absl::StrCat("l", i), .link = (i == 0 ? "" : absl::StrCat("l", i - 1, "/")) + chain});
    entries.push_back({.type = '5', .name = absl::StrCat("l", i, "/", chain)});
  }
  const absl::Status status = Apply(entries);
  EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
  EXPECT_OK(RemoveTree(root_));
  EXPECT_FALSE(Exists(""));
}

TEST_F(LayerUnpackerTest, GivesUpWhenInterrupted) {
  const std::string tar = MakeTar({{.name = "f", .content = std::string(1 << 20, 'x')}});
  EXPECT_THAT(ApplyTar(tar, {.deadline = absl::Now()}), StatusIs(StatusCode::kDeadlineExceeded));
  const std::atomic<bool> cancelled{true};
  EXPECT_THAT(ApplyTar(tar, {.cancelled = &cancelled}), StatusIs(StatusCode::kCancelled));
}

TEST_F(LayerUnpackerTest, FullDisk) {
  absl::Status announced, filled;
  std::thread([&] {  // a thread, for a mount name space that goes with it
    if (::unshare(CLONE_FS | CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      announced = filled = absl::ResourceExhaustedError("no name space here");
      return;
    }
    const std::string small = base_ + "/small";
    ASSERT_OK(MakeFolders(small));
    ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m"), 0);
    auto tree = LayerTree::Create(small + "/root");
    ASSERT_OK(tree);
    std::ofstream(base_ + "/one", std::ios::binary) << MakeTar({{.name = "f", .content = std::string(2 << 20, 'x')}});
    announced = ApplyLayer(base_ + "/one", small, *tree, {}).status();
    std::vector<TarEntry> many;
    for (int i = 0; i < 20; ++i) many.push_back({.name = absl::StrCat("f", i), .content = std::string(100000, 'x')});
    std::ofstream(base_ + "/many", std::ios::binary) << MakeTar(many);
    filled = ApplyLayer(base_ + "/many", small, *tree, {}).status();
  })
      .join();
  EXPECT_THAT(announced, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(filled, StatusIs(StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace podvisor
