#include "storage/image_store.h"

#include <spdlog/spdlog.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "storage/content/durable_file.h"
#include "storage/image/image_catalog.h"
#include "storage/image/image_fetcher.h"
#include "storage/image/image_files.h"
#include "storage/image/image_import.h"
#include "storage/image/reference.h"

namespace podvisor {
namespace {

constexpr size_t kMaxAccounts = 1 << 20;

// Lock order: a pass of image_gate_, then one of blob_gate_, then the catalog's mutex; trash_mu_ alone. No lock that
// another call needs is held while anything is fetched, unpacked or deleted.
class ImageStoreImpl : public ImageStore {
 public:
  ImageStoreImpl(ImageStoreOptions options, ImageFiles files)
      : options_(std::move(options)), files_(std::move(files)) {}

  absl::Status Init(StateDb& db);

  absl::StatusOr<std::string> Pull(const std::string& reference, const PullOptions& options) override;
  absl::StatusOr<std::string> Import(const std::string& path, const std::string& name) override;
  absl::StatusOr<Image> Find(const std::string& reference) override;
  std::vector<Image> List() override;
  absl::Status Remove(const std::string& reference) override;
  absl::StatusOr<RootfsLease> Lease(const std::string& reference, const std::string& holder) override;
  absl::Status Release(const std::string& holder) override;
  std::vector<std::string> LeaseHolders() override { return catalog_->LeaseHolders(); }
  absl::StatusOr<ImageFsUsage> FsUsage() override;

 private:
  absl::StatusOr<std::string> DoPull(const ImageReference& reference, const PullOptions& options,
                                     const Interruption& interruption);
  // Makes the image's files if there are none, and records it. `fetch` brings the layers into the content store.
  absl::Status Finish(const ResolvedImage& resolved, ImageRecord record, const Interruption& interruption,
                      const std::function<absl::Status()>& fetch, const std::function<void()>& before_unpacking);
  absl::StatusOr<Image> ToImage(const ImageRecord& record) const;
  void CollectGarbage();

  const ImageStoreOptions options_;
  const ImageFiles files_;
  std::vector<std::string> pinned_;  // references in full form
  std::unique_ptr<ContentStore> content_;
  std::unique_ptr<ImageCatalog> catalog_;
  KeyedGate image_gate_;
  KeyedGate blob_gate_;
  std::atomic<uint64_t> trash_count_{0};
  absl::Mutex trash_mu_;  // who empties the trash; nobody else waits for it
};

absl::Status ImageStoreImpl::Init(StateDb& db) {
  for (const std::string& name : options_.pinned_images) {
    ASSIGN_OR_RETURN(const ImageReference reference, ImageReference::Parse(name), "pinned image");
    pinned_.push_back(reference.ToString());
  }
  // What an interrupted pull, removal or collection left.
  for (const std::string& folder : {files_.tmp(), files_.trash()}) {
    RETURN_IF_ERROR(RemoveTree(folder));
    RETURN_IF_ERROR(MakeFolders(folder));
  }
  RETURN_IF_ERROR(MakeFolders(files_.images()));
  ASSIGN_OR_RETURN(content_, ContentStore::Open(files_.root(), files_.tmp()));
  const auto is_whole = [&](const ImageRecord& record) {
    const absl::StatusOr<Digest> id = Digest::Parse(record.id());
    return id.ok() && files_.IsBuilt(*id) && content_->Has(*id);
  };
  ASSIGN_OR_RETURN(catalog_, ImageCatalog::Load(db, is_whole));
  for (const std::string& id : catalog_->dropped())
    spdlog::warn("image {}: its files are gone: not listed any more", id);
  CollectGarbage();
  return absl::OkStatus();
}

void ImageStoreImpl::CollectGarbage() {
  // Renamed while nothing can be pinned, deleted after that: deleting takes its time.
  catalog_->Sweep([&](const std::set<std::string>& in_use) {
    for (const std::string& folder : {content_->folder(), files_.images()}) {
      const absl::StatusOr<std::vector<std::string>> names = ListFolder(folder);
      if (!names.ok()) {
        spdlog::error("image store: collect garbage: {}", std::string(names.status().message()));
        continue;
      }
      for (const std::string& name : *names) {
        if (in_use.contains(name)) continue;
        const std::string from = absl::StrCat(folder, "/", name);
        const std::string to = absl::StrCat(files_.trash(), "/", trash_count_++);
        if (::rename(from.c_str(), to.c_str()) != 0) spdlog::error("image store: rename {} to {} failed", from, to);
      }
    }
  });
  absl::MutexLock lock(&trash_mu_);  // two would get into each other's way
  const absl::StatusOr<std::vector<std::string>> names = ListFolder(files_.trash());
  if (!names.ok()) return;
  for (const std::string& name : *names)
    if (absl::Status status = RemoveTree(absl::StrCat(files_.trash(), "/", name)); !status.ok())
      spdlog::error("image store: collect garbage: {}", std::string(status.message()));
}

absl::Status ImageStoreImpl::Finish(const ResolvedImage& resolved, ImageRecord record, const Interruption& interruption,
                                    const std::function<absl::Status()>& fetch,
                                    const std::function<void()>& before_unpacking) {
  record.set_id(resolved.id.ToString());
  record.set_size_bytes(resolved.size_bytes);
  ASSIGN_OR_RETURN(const KeyedGate::Pass pass, image_gate_.Enter(resolved.id.hex(), interruption));
  if (!files_.IsBuilt(resolved.id)) {
    RETURN_IF_ERROR(fetch());
    before_unpacking();
    std::vector<Digest> layers;
    for (const Descriptor& layer : resolved.layers) layers.push_back(layer.digest);
    RETURN_IF_ERROR(files_.Build(resolved.id, *content_, layers, resolved.diff_ids, interruption));
  }
  // The layers stay, as long as an image needs them: an update of an image fetches only what has changed.
  for (const Digest& document : resolved.documents) record.add_blobs(document.ToString());
  for (const Descriptor& layer : resolved.layers)
    if (content_->Has(layer.digest)) record.add_blobs(layer.digest.ToString());
  return catalog_->Commit(record);
}

absl::StatusOr<std::string> ImageStoreImpl::DoPull(const ImageReference& reference, const PullOptions& options,
                                                   const Interruption& interruption) {
  RETURN_IF_ERROR(interruption.Check());
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts, LoadRegistryHosts(options_.registry_certs_dir, reference.domain));
  RegistryClient registry({.hosts = std::move(hosts),
                           .repository = reference.path,
                           .auth = options.auth,
                           .docker_config = options_.docker_config});
  ImageCatalog::Pins pins(*catalog_);
  ImageFetcher fetcher({.content = *content_,
                        .gate = blob_gate_,
                        .pins = pins,
                        .options = options,
                        .parallel_layers = options_.parallel_layers,
                        .stall_timeout = options_.stall_timeout},
                       registry);
  const std::string wanted = reference.digest.empty() ? reference.tag : reference.digest.ToString();
  ASSIGN_OR_RETURN(const ResolvedImage resolved, fetcher.Resolve(wanted, interruption));
  ImageRecord record;
  record.add_repo_digests(absl::StrCat(reference.repository(), "@", resolved.target.ToString()));
  if (!reference.tag.empty()) record.add_repo_tags(reference.ToString());
  const auto report = [&](const char* stage) {
    if (options.progress)
      options.progress({.bytes_done = resolved.size_bytes, .bytes_total = resolved.size_bytes, .stage = stage});
  };
  RETURN_IF_ERROR(Finish(
      resolved, std::move(record), interruption, [&] { return fetcher.FetchLayers(resolved, interruption); },
      [&] { report("unpacking"); }));
  report("done");
  return resolved.id.ToString();
}

absl::StatusOr<std::string> ImageStoreImpl::Pull(const std::string& reference, const PullOptions& options) {
  ASSIGN_OR_RETURN(const ImageReference parsed, ImageReference::Parse(reference));
  const Interruption interruption{.deadline = options.deadline, .cancelled = options.cancelled};
  const absl::Time start = absl::Now();
  absl::StatusOr<std::string> id = DoPull(parsed, options, interruption);
  if (id.ok())
    spdlog::info("image {}: pulled {} in {}", *id, parsed.ToString(), absl::FormatDuration(absl::Now() - start));
  if (absl::IsResourceExhausted(id.status())) CollectGarbage();  // what was fetched for nothing fills the disk
  // A stall is told apart from other trouble only as long as it decides about a retry.
  if (absl::IsAborted(id.status())) id = absl::UnavailableError(id.status().message());
  RETURN_IF_ERROR(id.status(), "pull ", parsed.ToString());
  return id;
}

absl::StatusOr<std::string> ImageStoreImpl::Import(const std::string& path, const std::string& name) {
  std::string tag;
  if (!name.empty()) {
    ASSIGN_OR_RETURN(const ImageReference parsed, ImageReference::Parse(name));
    if (parsed.tag.empty()) return absl::InvalidArgumentError(absl::StrCat("name ", name, ": a digest can't be given"));
    tag = parsed.ToString();
  }
  ImageCatalog::Pins pins(*catalog_);
  ASSIGN_OR_RETURN(const ImportedImage imported, ReadImageArchive(path, files_.tmp(), *content_, pins), "import ",
                   path);
  ImageRecord record;
  if (!tag.empty())
    record.add_repo_tags(tag);
  else
    for (const std::string& found : imported.names) record.add_repo_tags(found);
  RETURN_IF_ERROR(Finish(
                      imported.image, std::move(record), {}, [] { return absl::OkStatus(); }, [] {}),
                  "import ", path);
  spdlog::info("image {}: imported from {}", imported.image.id.ToString(), path);
  return imported.image.id.ToString();
}

absl::StatusOr<Image> ImageStoreImpl::ToImage(const ImageRecord& record) const {
  ASSIGN_OR_RETURN(const Digest id, Digest::Parse(record.id()));
  Image image;
  image.id = record.id();
  image.repo_tags.assign(record.repo_tags().begin(), record.repo_tags().end());
  image.repo_digests.assign(record.repo_digests().begin(), record.repo_digests().end());
  image.size_bytes = record.size_bytes();
  for (const std::string& pinned : pinned_)
    for (const auto* names : {&image.repo_tags, &image.repo_digests})
      image.pinned |= std::find(names->begin(), names->end(), pinned) != names->end();
  ASSIGN_OR_RETURN(image.config_json, content_->Read(id, kMaxConfigBytes), "image ", record.id());
  ASSIGN_OR_RETURN(ParsedConfig parsed, ParseImageConfig(image.config_json), "image ", record.id());
  image.config = std::move(parsed.config);
  return image;
}

absl::StatusOr<Image> ImageStoreImpl::Find(const std::string& reference) {
  ASSIGN_OR_RETURN(const ImageRecord record, catalog_->Find(reference));
  return ToImage(record);
}

std::vector<Image> ImageStoreImpl::List() {
  std::vector<Image> images;
  for (const ImageRecord& record : catalog_->List()) {
    absl::StatusOr<Image> image = ToImage(record);
    if (image.ok())
      images.push_back(*std::move(image));
    else if (catalog_->Find(record.id()).ok())  // not just removed meanwhile
      spdlog::error("image {}: {}", record.id(), std::string(image.status().message()));
  }
  return images;
}

absl::Status ImageStoreImpl::Remove(const std::string& reference) {
  ASSIGN_OR_RETURN(const bool freed, catalog_->Remove(reference));
  if (freed) CollectGarbage();
  return absl::OkStatus();
}

absl::StatusOr<RootfsLease> ImageStoreImpl::Lease(const std::string& reference, const std::string& holder) {
  if (holder.empty()) return absl::InvalidArgumentError("a lease needs a holder");
  ASSIGN_OR_RETURN(const ImageRecord record, catalog_->Lease(reference, holder));
  ASSIGN_OR_RETURN(const Digest id, Digest::Parse(record.id()));
  RootfsLease lease;
  lease.erofs_path = files_.Erofs(id);
  ASSIGN_OR_RETURN(lease.image, ToImage(record));
  ASSIGN_OR_RETURN(lease.passwd, ReadFile(files_.Folder(id) + "/passwd", kMaxAccounts), "image ", record.id());
  ASSIGN_OR_RETURN(lease.group, ReadFile(files_.Folder(id) + "/group", kMaxAccounts), "image ", record.id());
  return lease;
}

absl::Status ImageStoreImpl::Release(const std::string& holder) {
  ASSIGN_OR_RETURN(const bool freed, catalog_->Release(holder));
  if (freed) CollectGarbage();
  return absl::OkStatus();
}

absl::StatusOr<ImageFsUsage> ImageStoreImpl::FsUsage() {
  ASSIGN_OR_RETURN(const TreeUsage usage, MeasureTree(files_.root()), "image store");
  return ImageFsUsage{.mountpoint = files_.root(), .used_bytes = usage.bytes, .inodes_used = usage.inodes};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Create(ImageStoreOptions options, StateDb& db) {
  if (options.root.empty() || options.root.front() != '/')
    return absl::InvalidArgumentError(absl::StrCat("image store: root \"", options.root, "\" is not an absolute path"));
  ImageFiles files(options.root);
  RETURN_IF_ERROR(MakeFolders(options.root), "image store");
  auto store = std::make_unique<ImageStoreImpl>(std::move(options), std::move(files));
  RETURN_IF_ERROR(store->Init(db), "image store");
  return store;
}

}  // namespace podvisor
