#include "storage/testing/image_builder.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "storage/image/manifest.h"

namespace podvisor {

namespace {

using nlohmann::json;

constexpr char kDocker[] = "application/vnd.docker.";
constexpr char kOci[] = "application/vnd.oci.image.";

bool IsDocker(const TestImage& image) {
  return image.form == TestImage::Form::kDocker || image.form == TestImage::Form::kDockerList;
}

std::string Architecture(const TestImage& image) {
  return image.architecture.empty() ? OwnPlatform().architecture : image.architecture;
}

json DescriptorOf(const std::string& type, const std::string& content) {
  return {{"mediaType", type}, {"digest", Digest::Of(content).ToString()}, {"size", content.size()}};
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace

BuiltImage BuildImage(const TestImage& image) {
  const bool docker = IsDocker(image);
  BuiltImage built;
  built.manifest_type =
      docker ? absl::StrCat(kDocker, "distribution.manifest.v2+json") : absl::StrCat(kOci, "manifest.v1+json");
  std::string layer_type = docker ? absl::StrCat(kDocker, "image.rootfs.diff.tar") : absl::StrCat(kOci, "layer.v1.tar");
  if (image.compression == Compression::kGzip) layer_type += docker ? ".gzip" : "+gzip";
  if (image.compression == Compression::kZstd) layer_type += docker ? ".zstd" : "+zstd";
  json diff_ids = json::array();
  json layers = json::array();
  for (const std::string& tar : image.layers) {
    diff_ids.push_back(Digest::Of(tar).ToString());
    built.blobs.push_back(Compress(tar, image.compression));
    layers.push_back(DescriptorOf(layer_type, built.blobs.back()));
  }
  built.config = json{{"os", "linux"},
                      {"architecture", Architecture(image)},
                      {"config", {{"Cmd", {"sh"}}, {"Env", {"A=b"}}, {"User", image.user}, {"StopSignal", "SIGQUIT"}}},
                      {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}}
                     .dump();
  const std::string config_type =
      docker ? absl::StrCat(kDocker, "container.image.v1+json") : absl::StrCat(kOci, "config.v1+json");
  built.manifest = json{
      {"schemaVersion", 2},
      {"mediaType", built.manifest_type},
      {"config", DescriptorOf(config_type, built.config)},
      {"layers",
       layers}}.dump();
  return built;
}

void WriteLayout(const BuiltImage& image, const std::string& folder,
                 const std::map<std::string, std::string>& annotations) {
  std::filesystem::create_directories(folder + "/blobs/sha256");
  const auto write_blob = [&](const std::string& content) {
    WriteFile(absl::StrCat(folder, "/blobs/sha256/", Digest::Of(content).hex()), content);
  };
  write_blob(image.config);
  write_blob(image.manifest);
  for (const std::string& blob : image.blobs) write_blob(blob);
  WriteFile(folder + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  json entry = DescriptorOf(image.manifest_type, image.manifest);
  if (!annotations.empty()) entry["annotations"] = annotations;
  WriteFile(folder + "/index.json", json{{"schemaVersion", 2}, {"manifests", json::array({entry})}}.dump());
}

PushedImage PushImage(FakeRegistry& registry, const std::string& repository, const std::string& tag,
                      const TestImage& image) {
  const BuiltImage built = BuildImage(image);
  PushedImage pushed;
  pushed.config = built.config;
  pushed.id = registry.PutBlob(built.config);
  for (const std::string& blob : built.blobs) pushed.layers.push_back(registry.PutBlob(blob));
  const bool index = image.form == TestImage::Form::kDockerList || image.form == TestImage::Form::kOciIndex;
  pushed.manifest = pushed.target =
      registry.PutManifest(repository, index ? "" : tag, built.manifest, built.manifest_type);
  if (!index) return pushed;
  json entries = json::array();
  // Another platform first, as in real life; its manifest is never asked for.
  for (const bool own : {false, true}) {
    json entry = DescriptorOf(built.manifest_type, own ? built.manifest : "decoy");
    entry["platform"] = {{"os", "linux"}, {"architecture", own ? Architecture(image) : "ppc64le"}};
    entries.push_back(entry);
  }
  const std::string index_type = IsDocker(image) ? absl::StrCat(kDocker, "distribution.manifest.list.v2+json")
                                                 : absl::StrCat(kOci, "index.v1+json");
  pushed.target = registry.PutManifest(
      repository, tag, json{{"schemaVersion", 2}, {"mediaType", index_type}, {"manifests", entries}}.dump(),
      index_type);
  return pushed;
}

}  // namespace podvisor
