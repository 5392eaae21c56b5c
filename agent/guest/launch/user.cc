#include "agent/guest/launch/user.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace podvisor::guest {
namespace {

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

struct Account {
  std::string name;
  uid_t uid;
  gid_t gid;
  std::string home;
};

File OpenFile(const std::string& path) { return File(::fopen(path.c_str(), "re"), &::fclose); }

// By name, or by number where the name is one.
std::optional<Account> FindAccount(const std::string& etc, const std::string& name, std::optional<uid_t> uid) {
  const File file = OpenFile(etc + "/passwd");
  if (file == nullptr) return std::nullopt;
  while (const passwd* entry = ::fgetpwent(file.get())) {
    if (entry->pw_name == name || (uid.has_value() && entry->pw_uid == *uid)) {
      return Account{entry->pw_name, entry->pw_uid, entry->pw_gid, entry->pw_dir};
    }
  }
  return std::nullopt;
}

std::optional<gid_t> FindGroup(const std::string& etc, const std::string& name) {
  const File file = OpenFile(etc + "/group");
  if (file == nullptr) return std::nullopt;
  while (const group* entry = ::fgetgrent(file.get())) {
    if (entry->gr_name == name) return entry->gr_gid;
  }
  return std::nullopt;
}

void AddMemberships(const std::string& etc, const std::string& name, std::vector<gid_t>* groups) {
  const File file = OpenFile(etc + "/group");
  if (file == nullptr) return;
  while (const group* entry = ::fgetgrent(file.get())) {
    for (char** member = entry->gr_mem; member != nullptr && *member != nullptr; ++member) {
      if (*member == name && std::find(groups->begin(), groups->end(), entry->gr_gid) == groups->end()) {
        groups->push_back(entry->gr_gid);
      }
    }
  }
}

std::optional<uint32_t> AsNumber(const std::string& text) {
  uint32_t number;
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

absl::Status ResolveNames(const std::string& etc, const std::string& username, ResolvedUser* resolved) {
  const size_t colon = username.find(':');
  const std::string name = username.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : username.substr(colon + 1);
  const std::optional<uint32_t> uid = AsNumber(name);
  const std::optional<Account> account = FindAccount(etc, name, uid);
  if (!account.has_value() && !uid.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unable to find user ", name, ": no matching entries in passwd file"));
  }
  resolved->uid = account.has_value() ? account->uid : *uid;
  resolved->gid = account.has_value() ? account->gid : 0;
  if (account.has_value()) {
    resolved->home = account->home;
    AddMemberships(etc, account->name, &resolved->groups);
  }
  if (group.empty()) return absl::OkStatus();
  std::optional<gid_t> gid = FindGroup(etc, group);
  if (!gid.has_value()) gid = AsNumber(group);
  if (!gid.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unable to find group ", group, ": no matching entries in group file"));
  }
  resolved->gid = *gid;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ResolvedUser> ResolveUser(const grpc::User& user, const std::string& etc, Home home) {
  ResolvedUser resolved;
  resolved.groups.assign(user.additionalgids().begin(), user.additionalgids().end());
  if (!user.username().empty()) {
    const absl::Status status = ResolveNames(etc, user.username(), &resolved);
    if (!status.ok()) return status;
    return resolved;
  }
  resolved.uid = user.uid();
  resolved.gid = user.gid();
  if (home == Home::kGiven) return resolved;
  const std::optional<Account> account = FindAccount(etc, "", resolved.uid);
  if (account.has_value()) resolved.home = account->home;
  return resolved;
}

}  // namespace podvisor::guest
