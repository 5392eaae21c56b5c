#include "storage/image/image_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"
#include "storage/image/json_reader.h"
#include "storage/image/layer_tree.h"
#include "storage/image/layer_unpacker.h"
#include "storage/image/reference.h"

namespace podvisor {
namespace {

constexpr int kMaxIndexDepth = 3;
constexpr size_t kCopyBlock = 1 << 20;

// What both formats do with their files.
class Importer {
 public:
  Importer(const LayerTree& tree, ContentStore& content, ImageCatalog::Pins& pins)
      : tree_(tree), content_(content), pins_(pins) {}

  absl::StatusOr<ImportedImage> ReadLayout();
  absl::StatusOr<ImportedImage> ReadDockerArchive(const std::string& manifest_json);

 private:
  static std::string BlobPath(const Digest& digest) { return "blobs/sha256/" + digest.hex(); }

  // Copies a file of the archive into the store. With an empty `wanted`, under whatever its digest is.
  absl::StatusOr<Descriptor> Store(const std::string& path, const Digest& wanted);
  absl::StatusOr<std::string> StoreDocument(const Digest& digest, size_t limit);
  absl::Status FinishConfig(const std::string& text, ResolvedImage& image);
  static void AddName(const std::map<std::string, std::string>& annotations, std::vector<std::string>& names);

  const LayerTree& tree_;
  ContentStore& content_;
  ImageCatalog::Pins& pins_;
};

absl::StatusOr<Descriptor> Importer::Store(const std::string& path, const Digest& wanted) {
  ASSIGN_OR_RETURN(const std::string clean, CleanPath(path));
  ASSIGN_OR_RETURN(const UniqueFd fd, tree_.OpenFile(clean));
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, "stat");
  Descriptor stored;
  stored.size = static_cast<uint64_t>(st.st_size);
  stored.digest = wanted;
  if (!wanted.empty()) {
    pins_.Add(wanted);
    if (content_.Has(wanted)) return stored;
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, content_.Begin(wanted, stored.size));
  Sha256 hash;
  std::string buffer(kCopyBlock, '\0');
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (got == 0) break;
    const absl::string_view data(buffer.data(), static_cast<size_t>(got));
    RETURN_IF_ERROR(writer->Write(data));
    hash.Update(data);
  }
  if (wanted.empty()) {
    stored.digest = hash.Finish();
    pins_.Add(stored.digest);
    RETURN_IF_ERROR(writer->CommitUnderItsDigest().status());
  } else {
    RETURN_IF_ERROR(writer->Commit());
  }
  return stored;
}

absl::StatusOr<std::string> Importer::StoreDocument(const Digest& digest, size_t limit) {
  RETURN_IF_ERROR(Store(BlobPath(digest), digest).status());
  return content_.Read(digest, limit);
}

absl::Status Importer::FinishConfig(const std::string& text, ResolvedImage& image) {
  ASSIGN_OR_RETURN(const ParsedConfig config, ParseImageConfig(text), "image ", image.id.ToString());
  RETURN_IF_ERROR(CheckConfig(config, image.layers.size()));
  image.diff_ids = config.diff_ids;
  image.documents.push_back(image.id);
  image.size_bytes = text.size();
  for (const Descriptor& layer : image.layers) image.size_bytes += layer.size;
  return absl::OkStatus();
}

// containerd writes full names; other tools write a mere tag or a full name into the OCI annotation.
void Importer::AddName(const std::map<std::string, std::string>& annotations, std::vector<std::string>& names) {
  for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
    const auto found = annotations.find(key);
    if (found == annotations.end()) continue;
    const bool full = absl::StrContains(found->second, ':') || absl::StrContains(found->second, '/');
    const absl::StatusOr<ImageReference> name = ImageReference::Parse(found->second);
    if (!full || !name.ok() || name->tag.empty()) continue;
    if (std::find(names.begin(), names.end(), name->ToString()) == names.end()) names.push_back(name->ToString());
    return;
  }
}

absl::StatusOr<ImportedImage> Importer::ReadLayout() {
  ImportedImage result;
  ASSIGN_OR_RETURN(const std::string text, tree_.ReadFile("index.json", kMaxManifestBytes));
  ASSIGN_OR_RETURN(auto parsed, ParseManifest(text, "application/vnd.oci.image.index.v1+json"), "index.json");
  const ImageIndex* index = std::get_if<ImageIndex>(&parsed);
  if (index == nullptr) return absl::DataLossError("index.json is no index");
  ASSIGN_OR_RETURN(Descriptor chosen, SelectPlatform(*index, OwnPlatform()), "index.json");
  for (const Descriptor& entry : index->manifests) {
    if (entry.digest == chosen.digest) {
      AddName(entry.annotations, result.names);
      continue;
    }
    // Other platforms' manifests and attestations may stand beside; a second image may not.
    const absl::StatusOr<Descriptor> also = SelectPlatform(ImageIndex{{entry}}, OwnPlatform());
    if (also.ok() && also->platform.os == chosen.platform.os && also->platform.variant == chosen.platform.variant)
      return absl::InvalidArgumentError("the layout holds several images: export one at a time");
  }
  result.image.target = chosen.digest;
  for (int depth = 0;; ++depth) {
    ASSIGN_OR_RETURN(const std::string document, StoreDocument(chosen.digest, kMaxManifestBytes));
    result.image.documents.push_back(chosen.digest);
    ASSIGN_OR_RETURN(parsed, ParseManifest(document, chosen.media_type), "manifest ", chosen.digest.ToString());
    if (const Manifest* manifest = std::get_if<Manifest>(&parsed)) {
      result.image.id = manifest->config.digest;
      for (Descriptor layer : manifest->layers) {
        ASSIGN_OR_RETURN(const Descriptor stored, Store(BlobPath(layer.digest), layer.digest));
        layer.size = stored.size;
        result.image.layers.push_back(layer);
      }
      ASSIGN_OR_RETURN(const std::string config, StoreDocument(result.image.id, kMaxConfigBytes));
      RETURN_IF_ERROR(FinishConfig(config, result.image));
      return result;
    }
    if (depth == kMaxIndexDepth) return absl::DataLossError("indexes of images nested too deep");
    ASSIGN_OR_RETURN(chosen, SelectPlatform(std::get<ImageIndex>(parsed), OwnPlatform()));
  }
}

absl::StatusOr<ImportedImage> Importer::ReadDockerArchive(const std::string& manifest_json) {
  const nlohmann::json json = nlohmann::json::parse(manifest_json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array() || json.size() != 1 || !json.front().is_object())
    return absl::InvalidArgumentError("manifest.json does not describe exactly one image: save one at a time");
  const nlohmann::json& entry = json.front();
  ImportedImage result;
  ASSIGN_OR_RETURN(const std::vector<std::string> tags, JsonTextList(entry, "RepoTags"));
  for (const std::string& tag : tags) {
    ASSIGN_OR_RETURN(const ImageReference name, ImageReference::Parse(tag), "RepoTags");
    result.names.push_back(name.ToString());
  }
  ASSIGN_OR_RETURN(const std::string config_path, JsonText(entry, "Config"));
  ASSIGN_OR_RETURN(const Descriptor config, Store(config_path, Digest()), "Config");
  result.image.id = config.digest;
  ASSIGN_OR_RETURN(const std::vector<std::string> layers, JsonTextList(entry, "Layers"));
  for (const std::string& layer : layers) {
    ASSIGN_OR_RETURN(result.image.layers.emplace_back(), Store(layer, Digest()), "Layers");
  }
  ASSIGN_OR_RETURN(const std::string text, content_.Read(config.digest, kMaxConfigBytes));
  RETURN_IF_ERROR(FinishConfig(text, result.image));
  return result;
}

absl::StatusOr<ImportedImage> ReadTree(const LayerTree& tree, ContentStore& content, ImageCatalog::Pins& pins) {
  Importer importer(tree, content, pins);
  // "docker save" of today writes both: the layout has the digests of what was pulled.
  if (tree.OpenFile("index.json").ok() && tree.OpenFile("oci-layout").ok()) return importer.ReadLayout();
  ASSIGN_OR_RETURN(const std::string manifest, tree.ReadFile("manifest.json", kMaxManifestBytes));
  if (!manifest.empty()) return importer.ReadDockerArchive(manifest);
  return absl::InvalidArgumentError("neither an OCI image layout nor a docker-archive");
}

}  // namespace

absl::StatusOr<ImportedImage> ReadImageArchive(const std::string& path, const std::string& temporary_folder,
                                               ContentStore& content, ImageCatalog::Pins& pins) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (S_ISDIR(st.st_mode)) {
    ASSIGN_OR_RETURN(const LayerTree tree, LayerTree::Open(path));
    return ReadTree(tree, content, pins);
  }
  std::string work = absl::StrCat(temporary_folder, "/import.XXXXXX");
  if (::mkdtemp(work.data()) == nullptr) return DiskStatus(errno, absl::StrCat("make a folder in ", temporary_folder));
  absl::Cleanup remove = [&] { RemoveTree(work).IgnoreError(); };
  ASSIGN_OR_RETURN(LayerTree tree, LayerTree::Create(work + "/archive"));
  RETURN_IF_ERROR(ApplyLayer(path, work, tree, {}).status(), "archive");
  return ReadTree(tree, content, pins);
}

}  // namespace podvisor
