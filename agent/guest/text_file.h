// Small files of the kernel's: /proc, /sys, cgroups.
#ifndef PODVISOR_AGENT_GUEST_TEXT_FILE_H_
#define PODVISOR_AGENT_GUEST_TEXT_FILE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace podvisor::guest {

// Up to 1 MiB, as it is.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);
// The same, without white space at its end; "" if it cannot be read.
std::string ReadTextOrEmpty(const std::string& path);
// One write() to an existing file: the kernel takes a setting as a whole.
absl::Status WriteTextFile(const std::string& path, absl::string_view text);
// Makes or replaces a file of ours.
absl::Status ReplaceTextFile(const std::string& path, absl::string_view text, unsigned mode);
// Like mkdir -p, mode 0755.
absl::Status MakeFolders(const std::string& path);
// Names in a folder, sorted, without . and those that begin with one; none if it cannot be read.
std::vector<std::string> ListFolder(const std::string& path);
// Like rm -rf, but stays on one file system; what cannot be removed stays.
void RemoveTree(const std::string& path);
// "key value" lines.
std::vector<std::pair<std::string, uint64_t>> ReadCounters(const std::string& path);
std::vector<std::string> SplitWords(absl::string_view text, absl::string_view separators);

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_TEXT_FILE_H_
