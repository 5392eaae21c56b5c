// Getting files and folders to the disk, and errors of a full one.
#ifndef PODVISOR_STORAGE_CONTENT_DURABLE_FILE_H_
#define PODVISOR_STORAGE_CONTENT_DURABLE_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor {

// errno as a status; a full disk or quota is kResourceExhausted and says what to do.
absl::Status DiskStatus(int error_number, const std::string& call);

// Writes all of `data`, in as many calls as it takes. `path` is for errors.
absl::Status WriteFully(int fd, absl::string_view data, const std::string& path);

// fsync of a file or a folder (its entries).
absl::Status SyncPath(const std::string& path);

// mkdir -p, mode 0700.
absl::Status MakeFolders(const std::string& path);

// Names in a folder, without "." and "..".
absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path);

// Bytes that may still be written to the file system of `path`.
absl::StatusOr<uint64_t> AvailableBytes(const std::string& path);

// Disk space and inodes that `path` and all below it take, hard links counted once per name.
struct TreeUsage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};
absl::StatusOr<TreeUsage> MeasureTree(const std::string& path);

// rm -rf of `path`: never follows a symlink, never crosses into another file system. Success if there is nothing.
absl::Status RemoveTree(const std::string& path);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_CONTENT_DURABLE_FILE_H_
