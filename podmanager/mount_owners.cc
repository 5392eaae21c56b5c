#include "podmanager/mount_owners.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace podvisor {

namespace {

std::vector<IdRange> Ranges(const google::protobuf::RepeatedPtrField<IdMapping>& mappings) {
  std::vector<IdRange> ranges;
  for (const IdMapping& mapping : mappings) {
    ranges.push_back({.inside = mapping.container_id(), .outside = mapping.host_id(), .count = mapping.length()});
  }
  return ranges;
}

void AddMaker(uint32_t id, std::vector<IdRange>* ranges) {
  const auto outside_has = [id](const IdRange& range) { return id - range.outside < range.count; };
  if (std::any_of(ranges->begin(), ranges->end(), outside_has)) return;
  uint32_t inside = id;
  const auto inside_has = [&inside](const IdRange& range) { return inside - range.inside < range.count; };
  // Each step leads to the end of a range.
  for (auto range = ranges->begin();
       (range = std::find_if(ranges->begin(), ranges->end(), inside_has)) != ranges->end();)
    inside = range->inside + range->count;
  ranges->push_back({.inside = inside, .outside = id, .count = 1});
}

// "Uid:" and "Gid:" have four words: real, effective, saved, and that of the file system.
absl::StatusOr<uint32_t> FileSystemId(const std::string& proc_status, const std::string& key) {
  for (absl::string_view line : absl::StrSplit(proc_status, '\n')) {
    if (!absl::StartsWith(line, key)) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, '\t', absl::SkipEmpty());
    uint32_t id = 0;
    if (words.size() == 5 && absl::SimpleAtoi(words[4], &id)) return id;
  }
  return absl::InternalError(absl::StrCat("no \"", key, "\" of four numbers in a process's status"));
}

}  // namespace

absl::StatusOr<FileMaker> ReadFileMaker(const std::string& proc_status) {
  FileMaker maker;
  ASSIGN_OR_RETURN(maker.uid, FileSystemId(proc_status, "Uid:"));
  ASSIGN_OR_RETURN(maker.gid, FileSystemId(proc_status, "Gid:"));
  return maker;
}

IdMappings MountOwners(const MountConfig& mount, const std::vector<FileMaker>& makers) {
  if (mount.uid_mappings().empty() && mount.gid_mappings().empty()) return {};
  IdMappings owners = {.uids = Ranges(mount.uid_mappings()), .gids = Ranges(mount.gid_mappings())};
  for (const FileMaker& maker : makers) {
    AddMaker(maker.uid, &owners.uids);
    AddMaker(maker.gid, &owners.gids);
  }
  return owners;
}

}  // namespace podvisor
