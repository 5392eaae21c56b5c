#include "podmanager/host_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace podvisor {

namespace {

namespace fs = std::filesystem;

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// The folders that each hold one tree of groups.
std::vector<std::string> Hierarchies(const std::string& root) {
  if (Exists(root + "/cgroup.controllers")) return {root};
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    const std::string path = entry.path().string();
    // Symlinks (cpu -> cpu,cpuacct) are second names. An empty v2 hierarchy beside v1 accounts for nothing.
    if (entry.is_symlink(error) || !Exists(path + "/cgroup.procs") || Exists(path + "/cgroup.controllers")) continue;
    found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// A control file is written in place, in one write.
absl::Status WriteControl(const std::string& path, const std::string& value) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (::write(fd.get(), value.data(), value.size()) < 0) return ErrnoStatus(errno, absl::StrCat("write ", path));
  return absl::OkStatus();
}

// A new v1 cpuset has no CPU and takes no process: it gets its parent's.
absl::Status FillCpuset(const std::string& directory) {
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
    const std::string path = directory + file;
    if (!Exists(path)) continue;
    ASSIGN_OR_RETURN(std::string now, ReadFile(path, 4096));
    if (!absl::StripAsciiWhitespace(now).empty()) continue;
    ASSIGN_OR_RETURN(std::string parent, ReadFile(fs::path(directory).parent_path().string() + file, 4096));
    RETURN_IF_ERROR(WriteControl(path, parent));
  }
  return absl::OkStatus();
}

absl::Status MakeGroup(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("make cgroup ", directory));
  }
  return FillCpuset(directory);
}

absl::Status MakeWithParents(const std::string& directory, const std::vector<std::string>& parents) {
  absl::Status made;
  // The last sandbox to leave a parent removes it: perhaps just between the two steps here.
  for (int tries = 0; tries < 10; ++tries) {
    made = absl::OkStatus();
    for (const std::string& parent : parents) {
      if (made.ok() && absl::StartsWith(directory, parent + "/")) made = MakeGroup(parent);
    }
    if (made.ok()) made = MakeGroup(directory);
    if (!absl::IsNotFound(made)) break;
  }
  return made;
}

absl::StatusOr<std::set<pid_t>> Members(const std::string& directory) {
  ASSIGN_OR_RETURN(std::string procs, ReadFile(directory + "/cgroup.procs", 1 << 20));
  std::set<pid_t> pids;
  for (absl::string_view line : absl::StrSplit(procs, '\n', absl::SkipEmpty())) {
    if (pid_t pid = 0; absl::SimpleAtoi(line, &pid) && pid > 0) pids.insert(pid);
  }
  return pids;
}

// Kills the processes of a group and waits for their end.
absl::Status Empty(const std::string& directory, absl::Time deadline) {
  ASSIGN_OR_RETURN(std::set<pid_t> before, Members(directory));
  std::map<pid_t, UniqueFd> pidfds;
  for (pid_t pid : before) pidfds[pid] = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // Who is still a member now is the process that its pidfd names: the number was not reused in between.
  ASSIGN_OR_RETURN(std::set<pid_t> after, Members(directory));
  for (const auto& [pid, pidfd] : pidfds) {
    if (!pidfd.ok() || after.count(pid) == 0) continue;
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
    pollfd wait = {pidfd.get(), POLLIN, 0};
    const int64_t left = std::max<int64_t>(0, absl::ToInt64Milliseconds(deadline - absl::Now()));
    if (::poll(&wait, 1, static_cast<int>(std::min<int64_t>(left, 60'000))) <= 0) {
      return absl::UnavailableError(absl::StrCat("process ", pid, " in cgroup ", directory, " does not end"));
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveGroup(const std::string& directory, absl::Time deadline) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EBUSY) return ErrnoStatus(errno, absl::StrCat("remove cgroup ", directory));
  RETURN_IF_ERROR(Empty(directory, deadline));
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("remove cgroup ", directory, ": it is still in use"));
}

}  // namespace

absl::StatusOr<std::string> CgroupParentPath(const std::string& parent) {
  const auto bad = [&parent](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("cgroup_parent \"", parent, "\": ", why));
  };
  const std::vector<std::string> parts = absl::StrSplit(parent, '/', absl::SkipEmpty());
  if (std::find(parts.begin(), parts.end(), "..") != parts.end()) return bad("must not hold ..");
  if (parts.size() != 1 || !absl::EndsWith(parts[0], ".slice") || absl::StartsWith(parent, "/")) {
    return absl::StrCat("/", absl::StrJoin(parts, "/"));
  }
  if (parts[0] == "-.slice") return std::string("/");
  // systemd: each dash is one level down, and every level carries the names of those above it.
  const absl::string_view stem = absl::StripSuffix(parts[0], ".slice");
  std::string path, prefix;
  for (absl::string_view piece : absl::StrSplit(stem, '-')) {
    if (piece.empty()) return bad("is no systemd slice");
    absl::StrAppend(&prefix, prefix.empty() ? "" : "-", piece);
    absl::StrAppend(&path, "/", prefix, ".slice");
  }
  return path;
}

absl::StatusOr<CgroupPlan> PlanCgroup(const std::string& root, const std::string& parent, CgroupParent owner,
                                      const std::string& sandbox_id) {
  ASSIGN_OR_RETURN(std::string path, CgroupParentPath(parent));
  if (path == "/") path.clear();
  std::vector<std::string> hierarchies = Hierarchies(root);
  const auto has_parent = [&path](const std::string& hierarchy) { return Exists(hierarchy + path); };
  if (std::any_of(hierarchies.begin(), hierarchies.end(), has_parent)) {
    hierarchies.erase(std::remove_if(hierarchies.begin(), hierarchies.end(),
                                     [&](const std::string& hierarchy) { return !has_parent(hierarchy); }),
                      hierarchies.end());
  }
  CgroupPlan plan;
  for (const std::string& hierarchy : hierarchies) {
    plan.directories.push_back(absl::StrCat(hierarchy, path, "/podvisor-", sandbox_id));
    std::string level = hierarchy;
    for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
      absl::StrAppend(&level, "/", part);
      const bool ours = owner == CgroupParent::kOurs && level == hierarchy + path;
      if (ours || !Exists(level)) plan.created_parents.push_back(level);
    }
  }
  return plan;
}

std::vector<std::string> MakeCgroup(const CgroupPlan& plan, const std::string& sandbox_id) {
  std::vector<std::string> procs;
  for (const std::string& directory : plan.directories) {
    if (absl::Status status = MakeWithParents(directory, plan.created_parents); !status.ok()) {
      spdlog::warn("sandbox {}: its VM is not accounted for in every cgroup: {}", sandbox_id, status.ToString());
      continue;
    }
    procs.push_back(directory + "/cgroup.procs");
  }
  return procs;
}

absl::Status RemoveCgroup(const CgroupPlan& plan, absl::Time deadline) {
  absl::Status result;
  for (const std::string& directory : plan.directories) {
    absl::Status status = RemoveGroup(directory, deadline);
    // A read-only tree never had the group.
    if (absl::IsPermissionDenied(status) && !Exists(directory)) continue;
    if (result.ok()) result = std::move(status);
  }
  for (auto parent = plan.created_parents.rbegin(); parent != plan.created_parents.rend(); ++parent) {
    ::rmdir(parent->c_str());  // fails, rightly, while another sandbox is in it
  }
  return result;
}

CgroupPlan PlanPoolCgroup(const std::string& root, const std::string& default_parent) {
  CgroupPlan plan;
  const std::string path = CgroupParentPath(default_parent).value_or("/podvisor");
  for (const std::string& hierarchy : Hierarchies(root)) plan.directories.push_back(hierarchy + path + "-pool");
  return plan;
}

std::vector<std::string> MakePoolCgroup(const CgroupPlan& plan) {
  std::vector<std::string> procs;
  for (const std::string& directory : plan.directories) {
    if (absl::Status status = MakeGroup(directory); !status.ok()) {
      spdlog::warn("pool: its VMs are not accounted for in every cgroup: {}", status.ToString());
      continue;
    }
    procs.push_back(directory + "/cgroup.procs");
  }
  return procs;
}

void RemovePoolCgroup(const CgroupPlan& plan) {
  for (const std::string& directory : plan.directories) ::rmdir(directory.c_str());  // fails, rightly, while in use
}

void JoinCgroup(const std::vector<std::string>& procs_files, const std::vector<pid_t>& pids,
                const std::string& sandbox_id) {
  for (const std::string& file : procs_files) {
    for (pid_t pid : pids) {
      if (absl::Status status = WriteControl(file, absl::StrCat(pid)); !status.ok()) {
        spdlog::warn("sandbox {}: its VM is not accounted for in every cgroup: {}", sandbox_id, status.ToString());
        break;
      }
    }
  }
}

CgroupPlan FindCgroup(const std::string& root, const std::string& sandbox_id) {
  CgroupPlan plan;
  const std::string name = absl::StrCat("podvisor-", sandbox_id);
  for (const std::string& hierarchy : Hierarchies(root)) {
    std::error_code error;
    fs::recursive_directory_iterator it(hierarchy, fs::directory_options::skip_permission_denied, error);
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      if (it->path().filename() == name) plan.directories.push_back(it->path().string());
    }
  }
  return plan;
}

}  // namespace podvisor
