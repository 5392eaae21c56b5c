#include "netns/testing/private_host.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "netns/netlink.h"

namespace podvisor {

absl::Status EnterPrivateHost() {
  if (::geteuid() != 0) return absl::PermissionDeniedError("needs root");
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return ErrnoStatus(errno, "unshare");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return ErrnoStatus(errno, "private mounts");
  if (::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) return ErrnoStatus(errno, "mount /run");
  // A bridge's address could be used only after a second, and until then the host would speak to pods as ::1.
  for (const char* which : {"all", "default"})
    std::ofstream(absl::StrCat("/proc/sys/net/ipv6/conf/", which, "/accept_dad")) << "0";
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  return netlink.SetLinkUp("lo");
}

absl::StatusOr<std::string> RunTool(std::vector<std::string> argv, const std::string& netns) {
  SpawnOptions options;
  options.argv = std::move(argv);
  UniqueFd target;
  if (!netns.empty()) {
    target.reset(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
    options.steps.push_back({"setns", [&] { return ::setns(target.get(), CLONE_NEWNET) == 0 ? 0 : errno; }});
  }
  const std::string command = absl::StrJoin(options.argv, " ");
  ASSIGN_OR_RETURN(CommandResult result, RunCommand(std::move(options), "", absl::Now() + absl::Minutes(1)));
  if (!result.exit.success())
    return absl::InternalError(absl::StrCat(command, ": ", result.exit.ToString(), ": ", result.err));
  return std::move(result.out);
}

std::string HostSnapshot(const std::string& folder) {
  std::set<std::string> lines;
  absl::StatusOr<Netlink> netlink = Netlink::Open();
  if (netlink.ok())
    for (const LinkInfo& link : netlink->Links().value_or(std::vector<LinkInfo>()))
      lines.insert(absl::StrCat("link ", link.name));
  const std::string mounts = ReadFile("/proc/self/mountinfo", 1 << 20).value_or("unreadable");
  for (absl::string_view line : absl::StrSplit(mounts, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    lines.insert(absl::StrCat("mount ", fields.size() > 4 ? fields[4] : std::string(line)));
  }
  for (const char* tool : {"/usr/sbin/iptables-save", "/usr/sbin/ip6tables-save"}) {
    const std::string rules = RunTool({tool}).value_or("");
    for (absl::string_view line : absl::StrSplit(rules, '\n', absl::SkipEmpty()))
      // Not the dates and the counters of chains.
      if (line[0] == '-') lines.insert(absl::StrCat(tool, " ", line));
  }
  const std::string tables = RunTool({"/usr/sbin/nft", "list", "tables"}).value_or("");
  for (absl::string_view line : absl::StrSplit(tables, '\n', absl::SkipEmpty())) {
    if (!absl::StrContains(line, " podvisor_")) continue;
    std::vector<std::string> command = {"/usr/sbin/nft", "list"};
    for (absl::string_view word : absl::StrSplit(line, ' ')) command.emplace_back(word);
    for (absl::string_view rule : absl::StrSplit(RunTool(command).value_or("unreadable"), '\n', absl::SkipEmpty()))
      lines.insert(absl::StrCat("nft ", line, " ", rule));
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error))
    lines.insert(absl::StrCat("file ", entry.path().string()));
  return absl::StrJoin(lines, "\n");
}

}  // namespace podvisor
