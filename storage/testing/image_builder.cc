#include "storage/testing/image_builder.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "storage/image/manifest.h"

namespace podvisor {

PushedImage PushImage(FakeRegistry& registry, const std::string& repository, const std::string& tag,
                      const TestImage& image) {
  using nlohmann::json;
  const bool docker = image.form == TestImage::Form::kDocker || image.form == TestImage::Form::kDockerList;
  const bool index = image.form == TestImage::Form::kDockerList || image.form == TestImage::Form::kOciIndex;
  const std::string docker_prefix = "application/vnd.docker.";
  const std::string oci_prefix = "application/vnd.oci.image.";
  const std::string manifest_type =
      docker ? docker_prefix + "distribution.manifest.v2+json" : oci_prefix + "manifest.v1+json";
  std::string layer_type = docker ? docker_prefix + "image.rootfs.diff.tar" : oci_prefix + "layer.v1.tar";
  if (image.compression == Compression::kGzip) layer_type += docker ? ".gzip" : "+gzip";
  if (image.compression == Compression::kZstd) layer_type += docker ? ".zstd" : "+zstd";

  PushedImage pushed;
  json diff_ids = json::array();
  json layers = json::array();
  for (const std::string& tar : image.layers) {
    diff_ids.push_back(Digest::Of(tar).ToString());
    const std::string blob = Compress(tar, image.compression);
    pushed.layers.push_back(registry.PutBlob(blob));
    layers.push_back({{"mediaType", layer_type}, {"digest", pushed.layers.back().ToString()}, {"size", blob.size()}});
  }
  const std::string architecture = image.architecture.empty() ? OwnPlatform().architecture : image.architecture;
  pushed.config = json{{"os", "linux"},
                       {"architecture", architecture},
                       {"config", {{"Cmd", {"sh"}}, {"Env", {"A=b"}}, {"User", image.user}, {"StopSignal", "SIGQUIT"}}},
                       {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}}
                      .dump();
  pushed.id = registry.PutBlob(pushed.config);
  const json manifest = {
      {"schemaVersion", 2},
      {"mediaType", manifest_type},
      {"config",
       {{"mediaType", docker ? docker_prefix + "container.image.v1+json" : oci_prefix + "config.v1+json"},
        {"digest", pushed.id.ToString()},
        {"size", pushed.config.size()}}},
      {"layers", layers}};
  const std::string text = manifest.dump();
  pushed.manifest = pushed.target = registry.PutManifest(repository, index ? "" : tag, text, manifest_type);
  if (!index) return pushed;
  json entries = json::array();
  // Another platform first, as in real life; its manifest is never asked for.
  for (const char* other : {"ppc64le", ""}) {
    const bool own = *other == '\0';
    entries.push_back({{"mediaType", manifest_type},
                       {"digest", own ? pushed.manifest.ToString() : Digest::Of("decoy").ToString()},
                       {"size", text.size()},
                       {"platform", {{"os", "linux"}, {"architecture", own ? architecture : other}}}});
  }
  const std::string index_type =
      docker ? docker_prefix + "distribution.manifest.list.v2+json" : oci_prefix + "index.v1+json";
  pushed.target = registry.PutManifest(
      repository, tag, json{{"schemaVersion", 2}, {"mediaType", index_type}, {"manifests", entries}}.dump(),
      index_type);
  return pushed;
}

}  // namespace podvisor
