#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/state_db.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/content/durable_file.h"
#include "storage/image_store.h"
#include "storage/testing/image_builder.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using nlohmann::json;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class ImportTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking images needs root";
    if (::access("/usr/bin/mkfs.erofs", X_OK) != 0) GTEST_SKIP() << "mkfs.erofs is not installed";
    ASSERT_OK(RemoveTree(root_));
    ASSERT_OK(MakeFolders(root_));
    db_ = *StateDb::Open(":memory:");
    auto store = ImageStore::Create({.root = root_ + "/images"}, *db_);
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  void TearDown() override { EXPECT_OK(RemoveTree(root_)); }

  void Write(const std::string& name, const std::string& content) const {
    std::ofstream(root_ + "/" + name, std::ios::binary) << content;
  }
  // All files of a folder as a tar.
  std::string TarOf(const std::string& folder, const std::string& below = "") const {
    std::vector<TarEntry> entries;
    Collect(folder, below, entries);
    return MakeTar(entries);
  }
  void Collect(const std::string& folder, const std::string& below, std::vector<TarEntry>& entries) const {
    const auto names = ListFolder(folder);
    ASSERT_OK(names);
    for (const std::string& name : *names) {
      struct stat st;
      const std::string path = folder + "/" + name;
      ASSERT_EQ(::lstat(path.c_str(), &st), 0);
      if (S_ISDIR(st.st_mode))
        Collect(path, absl::StrCat(below, name, "/"), entries);
      else
        entries.push_back({.name = below + name, .content = *ReadFile(path, 64 << 20)});
    }
  }
  void ExpectNothingLeft() const {
    EXPECT_THAT(*ListFolder(root_ + "/images/tmp"), IsEmpty());
    EXPECT_THAT(*ListFolder(root_ + "/images/images"), IsEmpty());
    EXPECT_THAT(store_->List(), IsEmpty());
  }

  const std::string layer_ = MakeTar({{.name = "etc/passwd", .content = "root:x:0:0\n"}});
  const std::string root_ = testing::TempDir() + "/import";
  std::unique_ptr<StateDb> db_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(ImportTest, LayoutAsFolderAndAsTar) {
  const struct {
    std::map<std::string, std::string> annotations;
    std::string name;
    std::vector<std::string> tags;
  } cases[] = {
      {{}, "", {}},
      {{{"org.opencontainers.image.ref.name", "1.0"}}, "", {}},  // a mere tag names nothing
      {{{"org.opencontainers.image.ref.name", "user/app:1.0"}}, "", {"docker.io/user/app:1.0"}},
      {{{"io.containerd.image.name", "ghcr.io/a/b:c"}, {"org.opencontainers.image.ref.name", "c"}},
       "",
       {"ghcr.io/a/b:c"}},
      {{{"io.containerd.image.name", "ghcr.io/a/b:c"}}, "mine", {"docker.io/library/mine:latest"}},
  };
  const BuiltImage image = BuildImage({.layers = {layer_}});
  for (const auto& c : cases) {
    ASSERT_OK(RemoveTree(root_ + "/layout"));
    WriteLayout(image, root_ + "/layout", c.annotations);
    Write("layout.tar", TarOf(root_ + "/layout"));
    Write("layout.tar.gz", Compress(TarOf(root_ + "/layout"), Compression::kGzip));
    for (const char* form : {"layout", "layout.tar", "layout.tar.gz"}) {
      const auto id = store_->Import(root_ + "/" + form, c.name);
      ASSERT_OK(id) << form;
      EXPECT_EQ(*id, Digest::Of(image.config).ToString());
      EXPECT_EQ(store_->Find(*id)->repo_tags, c.tags) << form;
      EXPECT_EQ(store_->Lease(*id, form)->passwd, "root:x:0:0\n");
      ASSERT_OK(store_->Remove(*id));
      ASSERT_OK(store_->Release(form));
    }
  }
  ExpectNothingLeft();
}

TEST_F(ImportTest, DockerArchive) {
  const BuiltImage image = BuildImage({.layers = {layer_}, .compression = Compression::kNone});
  const std::string config = Digest::Of(image.config).hex() + ".json";
  const json manifest = {
      {{"Config", config}, {"RepoTags", {"app:v1", "ghcr.io/x/app:v2"}}, {"Layers", {"1/layer.tar"}}}};
  Write("archive.tar", MakeTar({{.name = "manifest.json", .content = manifest.dump()},
                                {.name = config, .content = image.config},
                                {.name = "0/layer.tar", .content = layer_},
                                {.type = '2', .name = "1/layer.tar", .link = "../0/layer.tar"}}));  // as docker does it
  const auto id = store_->Import(root_ + "/archive.tar", "");
  ASSERT_OK(id);
  const auto found = store_->Find("app:v1");
  ASSERT_OK(found);
  EXPECT_EQ(found->id, *id);
  EXPECT_THAT(found->repo_tags, UnorderedElementsAre("docker.io/library/app:v1", "ghcr.io/x/app:v2"));
  EXPECT_THAT(found->repo_digests, IsEmpty());
  EXPECT_EQ(store_->Lease(*id, "c")->passwd, "root:x:0:0\n");
}

TEST_F(ImportTest, Refuses) {
  const BuiltImage image = BuildImage({.layers = {layer_}, .compression = Compression::kNone});
  Write("secret", "secret");
  const auto docker = [&](const std::string& config, const std::string& layer) {
    return MakeTar({{.name = "manifest.json", .content = json({{{"Config", config}, {"Layers", {layer}}}}).dump()},
                    {.name = "config", .content = image.config},
                    {.name = "layer", .content = layer_},
                    {.type = '2', .name = "link", .link = root_ + "/secret"}});
  };
  WriteLayout(image, root_ + "/layout", {});
  const std::string good = TarOf(root_ + "/layout");
  const auto damaged = [&](const std::string& what, const std::string& content) {
    std::vector<TarEntry> entries;
    Collect(root_ + "/layout", "", entries);
    for (TarEntry& entry : entries)
      if (entry.name == what) entry.content = content;
    return MakeTar(entries);
  };
  const std::string manifest_path = "blobs/sha256/" + Digest::Of(image.manifest).hex();
  const struct {
    const char* name;
    std::string tar;
    StatusCode code;
  } cases[] = {
      {"no archive", "just text", StatusCode::kDataLoss},
      {"neither format", MakeTar({{.name = "readme"}}), StatusCode::kInvalidArgument},
      {"entry that leads out", MakeTar({{.name = "../evil", .content = "x"}}), StatusCode::kDataLoss},
      {"config outside", docker("../../../../etc/hostname", "layer"), StatusCode::kDataLoss},
      {"config by a link outside", docker("link", "layer"), StatusCode::kNotFound},
      {"layer outside", docker("config", "/etc/hostname"), StatusCode::kNotFound},
      {"layer missing", docker("config", "missing"), StatusCode::kNotFound},
      {"layer that is none", docker("config", "config"), StatusCode::kDataLoss},
      {"two images", MakeTar({{.name = "manifest.json", .content = "[{},{}]"}}), StatusCode::kInvalidArgument},
      {"index that is none", damaged("index.json", "{}"), StatusCode::kDataLoss},
      {"wrong manifest", damaged(manifest_path, "{}"), StatusCode::kDataLoss},
      {"wrong layer", damaged("blobs/sha256/" + Digest::Of(image.blobs[0]).hex(), layer_ + "x"), StatusCode::kDataLoss},
  };
  for (const auto& c : cases) {
    Write("bad.tar", c.tar);
    EXPECT_THAT(store_->Import(root_ + "/bad.tar", ""), StatusIs(c.code)) << c.name;
    ExpectNothingLeft();
  }
  EXPECT_THAT(store_->Import(root_ + "/missing", ""), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store_->Import(root_ + "/layout", "BAD"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(store_->Import(root_ + "/layout", "a@sha256:" + std::string(64, 'a')),
              StatusIs(StatusCode::kInvalidArgument));
  // A link in a folder is not followed out of it.
  const std::string blob = root_ + "/layout/" + manifest_path;
  Write("outside", image.manifest);
  ASSERT_EQ(::unlink(blob.c_str()), 0);
  ASSERT_EQ(::symlink((root_ + "/outside").c_str(), blob.c_str()), 0);
  EXPECT_THAT(store_->Import(root_ + "/layout", ""), StatusIs(StatusCode::kNotFound));
  Write("good.tar", good);
  EXPECT_OK(store_->Import(root_ + "/good.tar", ""));
}

}  // namespace
}  // namespace podvisor
