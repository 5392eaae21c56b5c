#include "storage/image/image_catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "storage/image/reference.h"

namespace podvisor {
namespace {

constexpr char kImages[] = "images";
constexpr char kLeases[] = "image_leases";
constexpr uint32_t kVersion = 1;

template <typename Field>
bool Contains(const Field& field, const std::string& text) {
  return std::find(field.begin(), field.end(), text) != field.end();
}

// Adds to `field` what it lacks of `added`, in order.
template <typename Field>
void Merge(Field* field, const Field& added) {
  for (const std::string& text : added)
    if (!Contains(*field, text)) *field->Add() = text;
}

template <typename Field>
bool Erase(Field* field, const std::string& text) {
  const auto found = std::find(field->begin(), field->end(), text);
  if (found == field->end()) return false;
  field->erase(found);
  return true;
}

StateDb::Write Row(const ImageRecord& record) { return {kImages, record.id(), record.SerializeAsString()}; }

bool IsHex(absl::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageCatalog>> ImageCatalog::Load(
    StateDb& db, const std::function<bool(const ImageRecord&)>& is_whole) {
  std::unique_ptr<ImageCatalog> catalog(new ImageCatalog(db));
  absl::MutexLock lock(&catalog->mu_);
  ASSIGN_OR_RETURN(const std::vector<StateDb::Row> images, db.Scan(kImages), "images");
  std::vector<StateDb::Write> writes;
  for (const auto& [id, value] : images) {
    ImageRecord record;
    if (!record.ParseFromString(value) || record.version() > kVersion)
      return absl::DataLossError(
          absl::StrCat("the record of image ", id, " can't be read: was it written by a newer podvisord?"));
    if (is_whole(record)) {
      catalog->images_.emplace(id, std::move(record));
    } else {
      catalog->dropped_.push_back(id);
      writes.push_back({kImages, id, std::nullopt});
    }
  }
  ASSIGN_OR_RETURN(const std::vector<StateDb::Row> leases, db.Scan(kLeases), "image leases");
  for (const auto& [holder, value] : leases) {
    ImageLeaseRecord record;
    if (!record.ParseFromString(value) || record.version() > kVersion)
      return absl::DataLossError(absl::StrCat("the image lease of ", holder, " can't be read"));
    catalog->leases_.emplace(holder, record.image_id());
  }
  // A lease that ended while its removed image's row was to be deleted: both are one write, so only older versions or
  // hands could leave such a row. Cheap to look at all the same.
  for (auto image = catalog->images_.begin(); image != catalog->images_.end();) {
    const bool gone = image->second.removed() && !catalog->IsLeasedLocked(image->first);
    if (gone) writes.push_back({kImages, image->first, std::nullopt});
    image = gone ? catalog->images_.erase(image) : std::next(image);
  }
  if (!writes.empty()) RETURN_IF_ERROR(db.Apply(writes), "images");
  return catalog;
}

absl::Status ImageCatalog::Commit(const ImageRecord& added) {
  absl::MutexLock lock(&mu_);
  std::map<std::string, ImageRecord> changed;
  ImageRecord& record = changed[added.id()];
  if (const auto known = images_.find(added.id()); known != images_.end()) record = known->second;
  if (record.removed()) {
    record.clear_repo_tags();
    record.clear_repo_digests();
  }
  record.set_version(kVersion);
  record.set_id(added.id());
  record.set_removed(false);
  if (record.size_bytes() == 0) record.set_size_bytes(added.size_bytes());
  Merge(record.mutable_repo_tags(), added.repo_tags());
  Merge(record.mutable_repo_digests(), added.repo_digests());
  Merge(record.mutable_blobs(), added.blobs());
  for (const auto& [id, other] : images_) {
    if (id == added.id()) continue;
    ImageRecord copy = other;
    bool lost = false;
    for (const std::string& tag : added.repo_tags()) lost |= Erase(copy.mutable_repo_tags(), tag);
    for (const std::string& digest : added.repo_digests()) lost |= Erase(copy.mutable_repo_digests(), digest);
    if (lost) changed[id] = std::move(copy);
  }
  std::vector<StateDb::Write> writes;
  for (const auto& [id, image] : changed) writes.push_back(Row(image));
  RETURN_IF_ERROR(db_.Apply(writes), "record image ", added.id());
  for (auto& [id, image] : changed) images_[id] = std::move(image);
  return absl::OkStatus();
}

const ImageRecord* ImageCatalog::ListedLocked(const std::string& id) const {
  const auto found = images_.find(id);
  return found == images_.end() || found->second.removed() ? nullptr : &found->second;
}

const ImageRecord* ImageCatalog::FindLocked(const std::string& reference, absl::Status& status) const {
  status = absl::NotFoundError(absl::StrCat("no image \"", reference, "\" in the image store"));
  if (Digest::Parse(reference).ok()) return ListedLocked(reference);
  if (Digest::Parse("sha256:" + reference).ok()) return ListedLocked("sha256:" + reference);
  const absl::StatusOr<ImageReference> parsed = ImageReference::Parse(reference);
  if (parsed.ok()) {
    const std::string name = parsed->ToString();
    for (const auto& [id, record] : images_)
      if (!record.removed() && (Contains(record.repo_tags(), name) || Contains(record.repo_digests(), name)))
        return &record;
  }
  const absl::string_view prefix = absl::StripPrefix(reference, "sha256:");
  if (!IsHex(prefix) || prefix.size() > 64) {
    if (!parsed.ok()) status = parsed.status();
    return nullptr;
  }
  const ImageRecord* match = nullptr;
  for (const auto& [id, record] : images_) {
    if (record.removed() || !absl::StartsWith(absl::StripPrefix(id, "sha256:"), prefix)) continue;
    if (match != nullptr) {
      status = absl::InvalidArgumentError(absl::StrCat("\"", reference, "\" is the beginning of several image ids"));
      return nullptr;
    }
    match = &record;
  }
  return match;
}

absl::StatusOr<ImageRecord> ImageCatalog::Find(const std::string& reference) const {
  absl::MutexLock lock(&mu_);
  absl::Status status;
  const ImageRecord* record = FindLocked(reference, status);
  if (record == nullptr) return status;
  return *record;
}

std::vector<ImageRecord> ImageCatalog::List() const {
  absl::MutexLock lock(&mu_);
  std::vector<ImageRecord> records;
  for (const auto& [id, record] : images_)
    if (!record.removed()) records.push_back(record);
  return records;
}

bool ImageCatalog::IsLeasedLocked(const std::string& id) const {
  return std::any_of(leases_.begin(), leases_.end(), [&](const auto& lease) { return lease.second == id; });
}

absl::StatusOr<bool> ImageCatalog::Remove(const std::string& reference) {
  absl::MutexLock lock(&mu_);
  absl::Status status;
  const ImageRecord* found = FindLocked(reference, status);
  if (found == nullptr) {
    if (absl::IsNotFound(status)) return false;
    return status;
  }
  const std::string id = found->id();
  if (!IsLeasedLocked(id)) {
    RETURN_IF_ERROR(db_.Delete(kImages, id), "remove image ", id);
    images_.erase(id);
    return true;
  }
  ImageRecord record = *found;
  record.set_removed(true);
  record.clear_repo_tags();
  record.clear_repo_digests();
  RETURN_IF_ERROR(db_.Apply({Row(record)}), "remove image ", id);
  images_[id] = std::move(record);
  return false;
}

absl::StatusOr<ImageRecord> ImageCatalog::Lease(const std::string& reference, const std::string& holder) {
  absl::MutexLock lock(&mu_);
  absl::Status status;
  const ImageRecord* found = FindLocked(reference, status);
  const auto lease = leases_.find(holder);
  if (lease != leases_.end()) {
    const auto image = images_.find(lease->second);
    if (image == images_.end())
      return absl::DataLossError(
          absl::StrCat("the content of image ", lease->second, ", leased by ", holder, ", is lost"));
    if (found != nullptr && found->id() != lease->second)
      return absl::FailedPreconditionError(
          absl::StrCat(holder, " has leased image ", lease->second, ", not ", found->id()));
    return image->second;
  }
  if (found == nullptr) return status;
  ImageLeaseRecord record;
  record.set_version(kVersion);
  record.set_image_id(found->id());
  RETURN_IF_ERROR(db_.Put(kLeases, holder, record.SerializeAsString()), "lease image for ", holder);
  leases_[holder] = found->id();
  return *found;
}

absl::StatusOr<bool> ImageCatalog::Release(const std::string& holder) {
  absl::MutexLock lock(&mu_);
  const auto lease = leases_.find(holder);
  if (lease == leases_.end()) return false;
  const std::string id = lease->second;
  std::vector<StateDb::Write> writes = {{kLeases, holder, std::nullopt}};
  const auto image = images_.find(id);
  const bool last = std::count_if(leases_.begin(), leases_.end(), [&](const auto& l) { return l.second == id; }) == 1;
  const bool gone = image != images_.end() && image->second.removed() && last;
  if (gone) writes.push_back({kImages, id, std::nullopt});
  RETURN_IF_ERROR(db_.Apply(writes), "release the image of ", holder);
  leases_.erase(lease);
  if (gone) images_.erase(image);
  return gone;
}

std::vector<std::string> ImageCatalog::LeaseHolders() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> holders;
  for (const auto& [holder, id] : leases_) holders.push_back(holder);
  return holders;
}

void ImageCatalog::Pins::Add(const Digest& digest) {
  absl::MutexLock lock(&catalog_.mu_);
  catalog_.pins_.insert(digest.hex());
  hexes_.push_back(digest.hex());
}

ImageCatalog::Pins::~Pins() {
  absl::MutexLock lock(&catalog_.mu_);
  for (const std::string& hex : hexes_) catalog_.pins_.erase(catalog_.pins_.find(hex));
}

void ImageCatalog::Sweep(const std::function<void(const std::set<std::string>& in_use)>& sweep) {
  absl::MutexLock lock(&mu_);
  std::set<std::string> in_use(pins_.begin(), pins_.end());
  for (const auto& [id, record] : images_) {
    in_use.emplace(absl::StripPrefix(id, "sha256:"));
    for (const std::string& blob : record.blobs()) in_use.emplace(absl::StripPrefix(blob, "sha256:"));
  }
  sweep(in_use);
}

}  // namespace podvisor
