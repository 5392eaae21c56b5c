#include "podmanager/spec/user.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

// (uid_t)-1 means "leave it" to the kernel, so it is nobody's.
constexpr int64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
};

struct GroupEntry {
  std::string name;
  uint32_t gid = 0;
  std::vector<std::string> members;
};

std::vector<PasswdEntry> ReadPasswd(const std::string& text) {
  std::vector<PasswdEntry> entries;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> fields = absl::StrSplit(line, ':');
    PasswdEntry entry;
    if (fields.size() < 4 || fields[0].empty() || !absl::SimpleAtoi(fields[2], &entry.uid) ||
        !absl::SimpleAtoi(fields[3], &entry.gid))
      continue;
    entry.name = fields[0];
    if (fields.size() > 5) entry.home = fields[5];
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<GroupEntry> ReadGroup(const std::string& text) {
  std::vector<GroupEntry> entries;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> fields = absl::StrSplit(absl::StripTrailingAsciiWhitespace(line), ':');
    GroupEntry entry;
    if (fields.size() < 3 || fields[0].empty() || !absl::SimpleAtoi(fields[2], &entry.gid)) continue;
    entry.name = fields[0];
    if (fields.size() > 3) entry.members = absl::StrSplit(fields[3], ',', absl::SkipEmpty());
    entries.push_back(std::move(entry));
  }
  return entries;
}

bool IsNumber(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

absl::StatusOr<uint32_t> CheckedId(int64_t id, absl::string_view what) {
  if (id < 0 || id > kMaxId)
    return absl::InvalidArgumentError(absl::StrCat(what, " ", id, " is not between 0 and ", kMaxId));
  return static_cast<uint32_t>(id);
}

absl::StatusOr<uint32_t> ParseId(absl::string_view text, absl::string_view what) {
  int64_t id = 0;
  if (!absl::SimpleAtoi(text, &id))
    return absl::InvalidArgumentError(absl::StrCat(what, " ", text, " is not between 0 and ", kMaxId));
  return CheckedId(id, what);
}

// What was asked for, before the image's files are looked at.
struct Wish {
  std::string user;   // name or number; empty: root
  std::string group;  // name or number; empty: the user's
};

absl::StatusOr<Wish> WishOf(const User& run_as, const std::string& image_user) {
  Wish wish;
  if (!run_as.username().empty()) {
    wish.user = run_as.username();
  } else if (run_as.has_uid()) {
    ASSIGN_OR_RETURN(uint32_t uid, CheckedId(run_as.uid(), "run_as_user"));
    wish.user = absl::StrCat(uid);
  } else if (run_as.has_gid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("run_as_group ", run_as.gid(), " without run_as_user or run_as_username: CRI requires one"));
  } else {
    std::pair<std::string, std::string> parts = absl::StrSplit(image_user, absl::MaxSplits(':', 1));
    wish = {parts.first, parts.second};
  }
  if (run_as.has_gid()) {
    ASSIGN_OR_RETURN(uint32_t gid, CheckedId(run_as.gid(), "run_as_group"));
    wish.group = absl::StrCat(gid);
  }
  return wish;
}

absl::StatusOr<uint32_t> ResolveGroup(const std::string& wish, const std::vector<GroupEntry>& groups,
                                      const std::string& image) {
  if (IsNumber(wish)) return ParseId(wish, "group");
  for (const GroupEntry& entry : groups)
    if (entry.name == wish) return entry.gid;
  return absl::NotFoundError(absl::StrCat("group \"", wish, "\" is not in /etc/group of image ", image));
}

}  // namespace

absl::StatusOr<ResolvedUser> ResolveUser(const User& run_as, const std::string& image_user,
                                         const UserDatabase& database) {
  ASSIGN_OR_RETURN(Wish wish, WishOf(run_as, image_user));
  const std::vector<PasswdEntry> users = ReadPasswd(database.passwd);
  const std::vector<GroupEntry> groups = ReadGroup(database.group);

  ResolvedUser result;
  std::string name;
  const PasswdEntry* entry = nullptr;
  if (wish.user.empty() || IsNumber(wish.user)) {
    if (!wish.user.empty()) {
      ASSIGN_OR_RETURN(result.uid, ParseId(wish.user, "user"));
    }
    for (const PasswdEntry& user : users)
      if (entry == nullptr && user.uid == result.uid) entry = &user;
  } else {
    for (const PasswdEntry& user : users)
      if (entry == nullptr && user.name == wish.user) entry = &user;
    if (entry == nullptr)
      return absl::NotFoundError(
          absl::StrCat("user \"", wish.user, "\" is not in /etc/passwd of image ", database.image));
  }
  if (entry != nullptr) {
    name = entry->name;
    result.uid = entry->uid;
    result.gid = entry->gid;
    if (absl::StartsWith(entry->home, "/")) result.home = entry->home;
  }
  if (!wish.group.empty()) {
    ASSIGN_OR_RETURN(result.gid, ResolveGroup(wish.group, groups, database.image));
  }

  auto add = [&result](uint32_t gid) {
    if (std::find(result.groups.begin(), result.groups.end(), gid) == result.groups.end()) result.groups.push_back(gid);
  };
  add(result.gid);
  if (!run_as.strict_supplemental_groups() && !name.empty()) {
    for (const GroupEntry& group : groups)
      if (std::find(group.members.begin(), group.members.end(), name) != group.members.end()) add(group.gid);
  }
  for (int64_t gid : run_as.supplemental_groups()) {
    ASSIGN_OR_RETURN(uint32_t checked, CheckedId(gid, "supplemental group"));
    add(checked);
  }
  return result;
}

}  // namespace podvisor
