#include "agent/guest/text_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor::guest {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  std::string text;
  char buffer[4096];
  while (text.size() < kMaxBytes) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

std::string ReadTextOrEmpty(const std::string& path) {
  absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return "";
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  return *std::move(text);
}

absl::Status WriteTextFile(const std::string& path, absl::string_view text) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, absl::StrCat("write \"", text, "\" to ", path));
  }
  return absl::OkStatus();
}

absl::Status ReplaceTextFile(const std::string& path, absl::string_view text, unsigned mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, absl::StrCat("write ", path));
  }
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::string& path) {
  // Mostly all but the last are there.
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  for (size_t end = 1; end <= path.size(); ++end) {
    if (end < path.size() && path[end] != '/') continue;
    const std::string folder = path.substr(0, end);
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
      return ErrnoStatus(errno, absl::StrCat("mkdir ", folder));
  }
  return absl::OkStatus();
}

std::vector<std::string> ListFolder(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

void RemoveTree(const std::string& path) {
  constexpr int kOpenFolders = 16;
  ::nftw(
      path.c_str(),
      [](const char* entry, const struct stat*, int, FTW*) {
        if (::remove(entry) != 0) return 0;
        return 0;
      },
      kOpenFolders, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

std::vector<std::pair<std::string, uint64_t>> ReadCounters(const std::string& path) {
  std::vector<std::pair<std::string, uint64_t>> counters;
  for (const std::string& line : SplitWords(ReadTextOrEmpty(path), "\n")) {
    const size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    counters.emplace_back(line.substr(0, space), ::strtoull(line.c_str() + space, nullptr, 10));
  }
  return counters;
}

std::vector<std::string> SplitWords(absl::string_view text, absl::string_view separators) {
  std::vector<std::string> words;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find_first_of(separators, start), text.size());
    if (end > start) words.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

}  // namespace podvisor::guest
