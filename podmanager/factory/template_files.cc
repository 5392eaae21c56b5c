#include "podmanager/factory/template_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "podmanager/records.pb.h"
#include "storage/content/digest.h"

namespace podvisor {

namespace {

constexpr uint32_t kManifestVersion = 1;
constexpr size_t kMaxManifestBytes = 64 << 10;
constexpr uint64_t kSpareBytes = 64 << 20;  // devices' state, and not to be the one who fills it
constexpr size_t kReadBytes = 1 << 20;

bool OnTmpfs(const std::string& path) {
  struct statfs fs = {};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

std::string ManifestPath(const std::string& folder) { return folder + "/manifest"; }

absl::Status Describe(const std::string& path, VerifyDepth depth, TemplateManifest::File* out) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  struct stat file = {};
  if (::fstat(fd.get(), &file) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", path));
  out->set_size(static_cast<uint64_t>(file.st_size));
  out->set_inode(file.st_ino);
  out->set_modified_at_ns(file.st_mtim.tv_sec * int64_t{1'000'000'000} + file.st_mtim.tv_nsec);
  if (depth == VerifyDepth::kQuick) return absl::OkStatus();
  Sha256 digest;
  std::vector<char> buffer(kReadBytes);
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (got == 0) break;
    digest.Update(absl::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  out->set_sha256(absl::HexStringToBytes(digest.Finish().hex()));
  return absl::OkStatus();
}

absl::Status Compare(const std::string& path, VerifyDepth depth, const TemplateManifest::File& expected) {
  TemplateManifest::File found;
  RETURN_IF_ERROR(Describe(path, depth, &found));
  const bool same = found.size() == expected.size() && found.inode() == expected.inode() &&
                    found.modified_at_ns() == expected.modified_at_ns() &&
                    (depth == VerifyDepth::kQuick || found.sha256() == expected.sha256());
  return same ? absl::OkStatus() : absl::DataLossError(absl::StrCat(path, " is not what was saved"));
}

}  // namespace

std::string TemplateDir(const std::string& configured, const std::string& run_dir) {
  if (!configured.empty()) return configured;
  if (OnTmpfs(run_dir)) return run_dir + "/templates";
  return absl::StrCat("/dev/shm/podvisor-", Digest::Of(run_dir).hex().substr(0, 12));
}

absl::Status CheckTemplateRoom(const std::string& dir, uint64_t bytes) {
  struct stat folder = {};
  if (::lstat(dir.c_str(), &folder) != 0) return ErrnoStatus(errno, absl::StrCat("stat ", dir));
  if (!S_ISDIR(folder.st_mode) || folder.st_uid != ::geteuid() || (folder.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is not a folder that this user alone writes to: remove it, or set templates.dir"));
  }
  struct statfs fs = {};
  if (::statfs(dir.c_str(), &fs) != 0) return ErrnoStatus(errno, absl::StrCat("statfs ", dir));
  if (fs.f_type != TMPFS_MAGIC) {
    return absl::FailedPreconditionError(absl::StrCat(dir, " is not on tmpfs: set templates.dir to a folder that is"));
  }
  const uint64_t free_bytes = fs.f_bavail * static_cast<uint64_t>(fs.f_bsize);
  if (free_bytes < bytes + kSpareBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(dir, " has room for ", free_bytes >> 20, " MiB; a template takes ",
                                                     (bytes + kSpareBytes) >> 20, " MiB"));
  }
  return absl::OkStatus();
}

TemplateFiles FilesIn(const std::string& folder) {
  return {.memory_path = folder + "/memory", .devices_path = folder + "/devices"};
}

absl::Status WriteManifest(const std::string& folder, const std::string& key) {
  const TemplateFiles files = FilesIn(folder);
  TemplateManifest manifest;
  manifest.set_version(kManifestVersion);
  manifest.set_key(key);
  manifest.set_made_at_ns(absl::ToUnixNanos(absl::Now()));
  RETURN_IF_ERROR(Describe(files.memory_path, VerifyDepth::kFull, manifest.mutable_memory()));
  RETURN_IF_ERROR(Describe(files.devices_path, VerifyDepth::kFull, manifest.mutable_devices()));
  return WriteFileAtomically(ManifestPath(folder), manifest.SerializeAsString(), 0600);
}

absl::Status VerifyTemplate(const std::string& folder, const std::string& key, VerifyDepth depth) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(ManifestPath(folder), kMaxManifestBytes));
  TemplateManifest manifest;
  if (!manifest.ParseFromString(bytes) || manifest.version() != kManifestVersion || manifest.key() != key) {
    return absl::DataLossError(absl::StrCat(ManifestPath(folder), " is not that of template ", key));
  }
  const TemplateFiles files = FilesIn(folder);
  RETURN_IF_ERROR(Compare(files.memory_path, depth, manifest.memory()));
  return Compare(files.devices_path, depth, manifest.devices());
}

}  // namespace podvisor
