#include "storage/image/manifest.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "storage/image/json_reader.h"

namespace podvisor {
namespace {

constexpr size_t kMaxLayers = 512;
constexpr size_t kMaxIndexEntries = 4096;

bool IsLayerType(absl::string_view type) {
  for (const char* known :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar.zstd"})
    if (type == known) return true;
  return false;
}

bool IsConfigType(absl::string_view type) {
  return type == "application/vnd.oci.image.config.v1+json" || type == "application/vnd.docker.container.image.v1+json";
}

// What a registry has written is its fault, and no caller's argument.
absl::StatusOr<Digest> ReadDigest(const std::string& text) {
  absl::StatusOr<Digest> digest = Digest::Parse(text);
  if (!digest.ok()) return absl::DataLossError(digest.status().message());
  return digest;
}

absl::StatusOr<Descriptor> ReadDescriptor(const nlohmann::json& json) {
  if (!json.is_object()) return absl::DataLossError("a descriptor is not an object");
  Descriptor descriptor;
  ASSIGN_OR_RETURN(descriptor.media_type, JsonText(json, "mediaType"));
  ASSIGN_OR_RETURN(const std::string digest, JsonText(json, "digest"));
  ASSIGN_OR_RETURN(descriptor.digest, ReadDigest(digest));
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned()) return absl::DataLossError("a descriptor has no valid size");
  descriptor.size = size->get<uint64_t>();
  if (descriptor.size > INT64_MAX) return absl::DataLossError("a descriptor's size is out of range");
  ASSIGN_OR_RETURN(descriptor.annotations, JsonTextMap(json, "annotations"));
  if (const auto platform = json.find("platform"); platform != json.end() && platform->is_object()) {
    ASSIGN_OR_RETURN(descriptor.platform.os, JsonText(*platform, "os"));
    ASSIGN_OR_RETURN(descriptor.platform.architecture, JsonText(*platform, "architecture"));
    ASSIGN_OR_RETURN(descriptor.platform.variant, JsonText(*platform, "variant"));
  }
  return descriptor;
}

absl::StatusOr<std::vector<Descriptor>> ReadDescriptors(const nlohmann::json& list, size_t limit) {
  if (!list.is_array()) return absl::DataLossError("a list of descriptors is not a list");
  if (list.size() > limit) return absl::DataLossError(absl::StrCat("more than ", limit, " descriptors"));
  std::vector<Descriptor> descriptors;
  for (const nlohmann::json& entry : list) {
    ASSIGN_OR_RETURN(descriptors.emplace_back(), ReadDescriptor(entry));
  }
  return descriptors;
}

absl::StatusOr<Manifest> ReadManifest(const nlohmann::json& json) {
  Manifest manifest;
  ASSIGN_OR_RETURN(manifest.config, ReadDescriptor(json.at("config")), "config");
  if (!IsConfigType(manifest.config.media_type))
    return absl::UnimplementedError(
        absl::StrCat("not a container image: its configuration is of type \"", manifest.config.media_type, "\""));
  if (manifest.config.size > kMaxConfigBytes)
    return absl::DataLossError(absl::StrCat("the image configuration has more than ", kMaxConfigBytes, " bytes"));
  const auto layers = json.find("layers");
  if (layers == json.end()) return absl::DataLossError("a manifest without layers");
  ASSIGN_OR_RETURN(manifest.layers, ReadDescriptors(*layers, kMaxLayers), "layers");
  for (const Descriptor& layer : manifest.layers) {
    if (absl::StrContains(layer.media_type, "foreign") || absl::StrContains(layer.media_type, "nondistributable"))
      return absl::UnimplementedError(
          absl::StrCat("layer ", layer.digest.ToString(), " is a foreign layer, which podvisor does not fetch"));
    if (!IsLayerType(layer.media_type))
      return absl::UnimplementedError(
          absl::StrCat("layer ", layer.digest.ToString(), " is of unknown type \"", layer.media_type, "\""));
  }
  return manifest;
}

std::string PlatformName(const Platform& platform) {
  return absl::StrCat(platform.os, "/", platform.architecture, platform.variant.empty() ? "" : "/", platform.variant);
}

// 0: does not fit. Higher is better.
int Fitness(const Platform& offered, const Platform& own) {
  if (offered.os.empty() && offered.architecture.empty()) return 1;
  if (offered.os != own.os || offered.architecture != own.architecture) return 0;
  if (offered.variant == own.variant) return 4;
  const bool base = offered.variant.empty() || (own.architecture == "amd64" && offered.variant == "v1") ||
                    (own.architecture == "arm64" && offered.variant == "v8");
  return base ? 3 : 2;
}

}  // namespace

Platform OwnPlatform() {
#if defined(__x86_64__)
  return {"linux", "amd64", ""};
#elif defined(__aarch64__)
  return {"linux", "arm64", ""};
#elif defined(__riscv)
  return {"linux", "riscv64", ""};
#elif defined(__s390x__)
  return {"linux", "s390x", ""};
#elif defined(__powerpc64__)
  return {"linux", "ppc64le", ""};
#else
#error "name this architecture as OCI images do"
#endif
}

absl::StatusOr<std::variant<Manifest, ImageIndex>> ParseManifest(absl::string_view content,
                                                                 absl::string_view content_type) {
  if (content.size() > kMaxManifestBytes) return absl::DataLossError("the manifest has more than 4 MiB");
  const nlohmann::json json = nlohmann::json::parse(content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("the manifest is not a JSON object");
  const auto version = json.find("schemaVersion");
  const bool schema1 = version != json.end() && version->is_number_integer() && version->get<int64_t>() == 1;
  if (schema1 || absl::StrContains(content_type, "distribution.manifest.v1"))
    return absl::UnimplementedError(
        "the image has a manifest of Docker's schema 1, which is no longer supported: push it again with a current "
        "tool");
  ASSIGN_OR_RETURN(std::string type, JsonText(json, "mediaType"));
  if (type.empty()) type = std::string(content_type.substr(0, content_type.find(';')));
  // One document must not be read as two things by two programs (CVE-2021-41190).
  const bool is_index = json.contains("manifests");
  const bool is_manifest = json.contains("config") || json.contains("layers");
  if (is_index == is_manifest) return absl::DataLossError("the manifest is neither a manifest nor an index, or both");
  const bool says_index = absl::StrContains(type, "manifest.list.") || absl::StrContains(type, "image.index.");
  const bool says_manifest =
      absl::StrContains(type, "distribution.manifest.v2") || absl::StrContains(type, "image.manifest.");
  if ((is_index && says_manifest) || (is_manifest && says_index))
    return absl::DataLossError(absl::StrCat("the manifest's content contradicts its type ", type));
  if (is_index) {
    ImageIndex index;
    ASSIGN_OR_RETURN(index.manifests, ReadDescriptors(json.at("manifests"), kMaxIndexEntries), "index");
    return index;
  }
  if (!json.contains("config")) return absl::DataLossError("a manifest without config");
  return ReadManifest(json);
}

absl::StatusOr<Descriptor> SelectPlatform(const ImageIndex& index, const Platform& own) {
  const Descriptor* best = nullptr;
  int best_fitness = 0;
  std::vector<std::string> offered;
  for (const Descriptor& entry : index.manifests) {
    offered.push_back(PlatformName(entry.platform));
    const int fitness = Fitness(entry.platform, own);
    if (fitness <= best_fitness) continue;
    best_fitness = fitness;
    best = &entry;
  }
  if (best != nullptr) return *best;
  return absl::NotFoundError(absl::StrCat("the image is not made for ", PlatformName(own),
                                          ", only for: ", offered.empty() ? "nothing" : absl::StrJoin(offered, ", ")));
}

absl::StatusOr<ParsedConfig> ParseImageConfig(absl::string_view content) {
  const nlohmann::json json = nlohmann::json::parse(content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("the image configuration is not a JSON object");
  ParsedConfig result;
  ASSIGN_OR_RETURN(result.platform.os, JsonText(json, "os"));
  ASSIGN_OR_RETURN(result.platform.architecture, JsonText(json, "architecture"));
  ASSIGN_OR_RETURN(result.platform.variant, JsonText(json, "variant"));
  const auto rootfs = json.find("rootfs");
  if (rootfs == json.end() || !rootfs->is_object()) return absl::DataLossError("the image configuration has no rootfs");
  ASSIGN_OR_RETURN(const std::vector<std::string> diff_ids, JsonTextList(*rootfs, "diff_ids"));
  for (const std::string& text : diff_ids) {
    ASSIGN_OR_RETURN(result.diff_ids.emplace_back(), ReadDigest(text), "diff_ids");
  }
  const auto found = json.find("config");
  if (found == json.end() || found->is_null()) return result;
  if (!found->is_object()) return absl::DataLossError("config of the image configuration is not an object");
  ImageConfig& config = result.config;
  ASSIGN_OR_RETURN(config.entrypoint, JsonTextList(*found, "Entrypoint"));
  ASSIGN_OR_RETURN(config.cmd, JsonTextList(*found, "Cmd"));
  ASSIGN_OR_RETURN(config.env, JsonTextList(*found, "Env"));
  ASSIGN_OR_RETURN(config.user, JsonText(*found, "User"));
  ASSIGN_OR_RETURN(config.working_dir, JsonText(*found, "WorkingDir"));
  ASSIGN_OR_RETURN(config.stop_signal, JsonText(*found, "StopSignal"));
  ASSIGN_OR_RETURN(config.labels, JsonTextMap(*found, "Labels"));
  if (const auto volumes = found->find("Volumes"); volumes != found->end() && volumes->is_object())
    for (const auto& [path, unused] : volumes->items()) config.volumes.push_back(path);
  return result;
}

}  // namespace podvisor
