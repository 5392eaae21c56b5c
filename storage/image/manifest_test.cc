#include "storage/image/manifest.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using absl::StatusCode;
using testing::ElementsAre;

const std::string kDigest = Digest::Of("x").ToString();

// ' for ", D for a digest.
std::string Json(const std::string& text) { return absl::StrReplaceAll(text, {{"'", "\""}, {"D", kDigest}}); }

const char kGood[] =
    "{'schemaVersion':2,'mediaType':'application/vnd.oci.image.manifest.v1+json',"
    "'config':{'mediaType':'application/vnd.oci.image.config.v1+json','digest':'D','size':3},"
    "'layers':[{'mediaType':'application/vnd.oci.image.layer.v1.tar+zstd','digest':'D','size':5}]}";

TEST(ManifestTest, ReadsManifestsAndIndexes) {
  const auto manifest = ParseManifest(Json(kGood), "");
  ASSERT_OK(manifest);
  EXPECT_EQ(std::get<Manifest>(*manifest).layers[0].size, 5u);
  const auto index = ParseManifest(Json("{'schemaVersion':2,'manifests':[{'digest':'D','size':1,'platform':{'os':'"
                                        "linux','architecture':'arm64','variant':'v8'}}]}"),
                                   "application/vnd.docker.distribution.manifest.list.v2+json");
  ASSERT_OK(index);
  EXPECT_EQ(std::get<ImageIndex>(*index).manifests[0].platform.variant, "v8");
}

TEST(ManifestTest, Refuses) {
  const auto replaced = [](const char* from, const char* to) { return absl::StrReplaceAll(kGood, {{from, to}}); };
  const struct {
    std::string text;
    StatusCode code;
    const char* message;
  } cases[] = {
      {"", StatusCode::kDataLoss, "JSON"},
      {"[]", StatusCode::kDataLoss, "JSON"},
      {std::string(100000, '['), StatusCode::kDataLoss, "JSON"},
      {"{}", StatusCode::kDataLoss, "neither"},
      {"{'schemaVersion':1,'fsLayers':[]}", StatusCode::kUnimplemented, "schema 1"},
      {replaced("{'schemaVersion'", "{'manifests':[],'schemaVersion'"), StatusCode::kDataLoss, "both"},
      {replaced("image.manifest", "image.index"), StatusCode::kDataLoss, "contradicts"},
      {replaced("oci.image.config.v1", "acme.chart.v1"), StatusCode::kUnimplemented, "not a container image"},
      {replaced("oci.image.layer.v1.tar+zstd", "docker.image.rootfs.foreign.diff.tar.gzip"), StatusCode::kUnimplemented,
       "foreign"},
      {replaced("oci.image.layer.v1.tar+zstd", "oci.image.layer.nondistributable.v1.tar"), StatusCode::kUnimplemented,
       "foreign"},
      {replaced("layer.v1.tar+zstd", "layer.v1.tar+brotli"), StatusCode::kUnimplemented, "unknown type"},
      {replaced("'size':5", "'size':-5"), StatusCode::kDataLoss, "size"},
      {replaced("'size':5", "'size':'5'"), StatusCode::kDataLoss, "size"},
      {replaced("'size':5", "'size':18446744073709551615"), StatusCode::kDataLoss, "size"},
      {replaced("'digest':'D','size':5", "'digest':'sha256:../../etc','size':5"), StatusCode::kDataLoss, "digest"},
      {replaced("'digest':'D','size':5", "'digest':7,'size':5"), StatusCode::kDataLoss, "digest"},
      {replaced("'size':3", "'size':99999999"), StatusCode::kDataLoss, "configuration"},
      {"{'layers':[]}", StatusCode::kDataLoss, "without config"},
      {std::string(5 << 20, ' ') + "{}", StatusCode::kDataLoss, "4 MiB"},
  };
  for (const auto& c : cases)
    EXPECT_THAT(ParseManifest(Json(c.text), ""), StatusIs(c.code, c.message)) << c.text.substr(0, 200);
}

TEST(ManifestTest, SelectsThePlatform) {
  const auto entry = [](const char* name, const char* os, const char* architecture, const char* variant) {
    Descriptor descriptor;
    descriptor.digest = Digest::Of(name);
    descriptor.platform = {os, architecture, variant};
    return descriptor;
  };
  const struct {
    Platform own;
    std::vector<Descriptor> entries;
    const char* chosen;  // empty: none
  } cases[] = {
      {{"linux", "amd64", ""}, {entry("arm", "linux", "arm64", ""), entry("amd", "linux", "amd64", "")}, "amd"},
      {{"linux", "amd64", ""}, {entry("v3", "linux", "amd64", "v3"), entry("base", "linux", "amd64", "v1")}, "base"},
      {{"linux", "amd64", ""}, {entry("v3", "linux", "amd64", "v3")}, "v3"},
      {{"linux", "arm64", ""}, {entry("v9", "linux", "arm64", "v9"), entry("v8", "linux", "arm64", "v8")}, "v8"},
      {{"linux", "amd64", ""}, {entry("nil", "", "", ""), entry("amd", "linux", "amd64", "")}, "amd"},
      {{"linux", "amd64", ""}, {entry("windows", "windows", "amd64", ""), entry("nil", "", "", "")}, "nil"},
      {{"linux", "amd64", ""},
       {entry("attestation", "unknown", "unknown", ""), entry("arm", "linux", "arm64", "")},
       ""},
      {{"linux", "amd64", ""}, {}, ""},
  };
  for (const auto& c : cases) {
    const auto chosen = SelectPlatform(ImageIndex{c.entries}, c.own);
    if (*c.chosen == '\0') {
      EXPECT_THAT(chosen, StatusIs(StatusCode::kNotFound, "not made for linux/amd64"));
    } else {
      ASSERT_OK(chosen);
      EXPECT_EQ(chosen->digest, Digest::Of(c.chosen)) << c.chosen;
    }
  }
}

TEST(ManifestTest, ReadsConfigurations) {
  const auto parsed = ParseImageConfig(Json(
      "{'os':'linux','architecture':'amd64','rootfs':{'type':'layers','diff_ids':['D']},'config':{'Entrypoint':['/e'],"
      "'Cmd':null,'Env':['A=1','B=2'],'User':'1:2','WorkingDir':'/w','StopSignal':'SIGINT','Volumes':{'/v':{}},"
      "'Labels':{'k':'v'}}}"));
  ASSERT_OK(parsed);
  EXPECT_THAT(parsed->config.entrypoint, ElementsAre("/e"));
  EXPECT_THAT(parsed->config.env, ElementsAre("A=1", "B=2"));
  EXPECT_THAT(parsed->config.volumes, ElementsAre("/v"));
  EXPECT_EQ(parsed->config.user, "1:2");
  EXPECT_EQ(parsed->config.labels.at("k"), "v");
  EXPECT_EQ(parsed->diff_ids.size(), 1u);
  EXPECT_OK(ParseImageConfig(Json("{'rootfs':{'diff_ids':[]}}")));
  for (const char* bad : {"{}", "7", "{'rootfs':{'diff_ids':['md5:1']}}", "{'rootfs':{},'config':{'Env':'A=1'}}",
                          "{'rootfs':{},'config':{'Cmd':[1]}}", "{'rootfs':{},'config':[]}"})
    EXPECT_FALSE(ParseImageConfig(Json(bad)).ok()) << bad;
}

}  // namespace
}  // namespace podvisor
