#include "agent/guest/runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guest/log.h"
#include "agent/guest/text_file.h"
#include "base/status_macros.h"

namespace podvisor::guest {
namespace {

uint64_t Number(const std::string& path) { return ::strtoull(ReadTextOrEmpty(path).c_str(), nullptr, 10); }

std::vector<std::string> SubFolders(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(path + "/" + entry->d_name);
  }
  ::closedir(folder);
  return names;
}

void AddPids(const std::string& path, std::vector<pid_t>& pids) {
  for (const std::string& child : SubFolders(path)) AddPids(child, pids);
  for (const std::string& pid : SplitWords(ReadTextOrEmpty(path + "/cgroup.procs"), "\n")) {
    pids.push_back(static_cast<pid_t>(::atoi(pid.c_str())));
  }
}

// In the user's terms: the path in the guest says nothing to anybody.
absl::Status Refused(const CgroupSetting& setting, const absl::Status& why) {
  std::string message = absl::StrCat(setting.file, " = \"", setting.value, "\": the guest's kernel refuses it");
  const absl::string_view reason = why.message();
  if (const size_t colon = reason.rfind(": "); colon != absl::string_view::npos)
    absl::StrAppend(&message, reason.substr(colon));
  if (setting.file == "cpuset.cpus")
    absl::StrAppend(&message, "; the VM has processors ", ReadTextOrEmpty("/sys/devices/system/cpu/online"));
  return absl::Status(why.code(), message);
}

// Where cgroup2 is mounted: /proc/self/mountinfo, fields 5 and (after " - ") the type.
std::string FindMount() {
  for (const std::string& line : SplitWords(ReadTextOrEmpty("/proc/self/mountinfo"), "\n")) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos || line.compare(separator + 3, 8, "cgroup2 ") != 0) continue;
    const std::vector<std::string> fields = SplitWords(line, " ");
    if (fields.size() > 4) return fields[4];
  }
  return "";
}

void EnableControllers(const std::string& path) {
  for (const std::string& controller : SplitWords(ReadTextOrEmpty(path + "/cgroup.controllers"), " ")) {
    const absl::Status status = WriteTextFile(path + "/cgroup.subtree_control", "+" + controller);
    if (!status.ok()) Log("cgroup controller ", controller, " is not available to containers: ", status.message());
  }
}

void ReadIo(const std::string& path, grpc::BlkioStats* stats) {
  for (const std::string& line : SplitWords(ReadTextOrEmpty(path), "\n")) {
    const std::vector<std::string> words = SplitWords(line, " ");
    unsigned major = 0, minor = 0;
    if (words.empty() || ::sscanf(words[0].c_str(), "%u:%u", &major, &minor) != 2) continue;
    for (size_t i = 1; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      if (equals == std::string::npos) continue;
      const std::string key = words[i].substr(0, equals);
      const bool bytes = key == "rbytes" || key == "wbytes";
      if (!bytes && key != "rios" && key != "wios") continue;
      grpc::BlkioStatsEntry* entry =
          bytes ? stats->add_io_service_bytes_recursive() : stats->add_io_serviced_recursive();
      entry->set_major(major);
      entry->set_minor(minor);
      entry->set_op(key[0] == 'r' ? "Read" : "Write");
      entry->set_value(::strtoull(words[i].c_str() + equals + 1, nullptr, 10));
    }
  }
}

}  // namespace

absl::StatusOr<UniqueFd> Cgroup::Open() const {
  UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("open ", path_));
  return fd;
}

absl::Status Cgroup::Apply(const grpc::LinuxResources& resources) const {
  ASSIGN_OR_RETURN(const std::vector<CgroupSetting> settings, SettingsFrom(resources));
  for (const CgroupSetting& setting : settings) {
    const std::string file = File(setting.file.c_str());
    if (::access(file.c_str(), F_OK) != 0) {
      Log("cgroup ", path_, ": no ", setting.file, " here, so ", setting.value, " is not applied");
      continue;
    }
    if (const absl::Status status = WriteTextFile(file, setting.value); !status.ok()) return Refused(setting, status);
  }
  return absl::OkStatus();
}

absl::Status Cgroup::SetFile(const std::string& file, const std::string& value) const {
  // "cgroup.procs" and its kin are the agent's own business.
  const bool is_name = file.find('/') == std::string::npos && file.find('.') != std::string::npos && file[0] != '.';
  if (!is_name || file.rfind("cgroup.", 0) == 0 || ::access(File(file.c_str()).c_str(), F_OK) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cgroup file \"", file, "\" is none of this kernel's controllers"));
  }
  RETURN_IF_ERROR(WriteTextFile(File(file.c_str()), value), "cgroup");
  return absl::OkStatus();
}

absl::Status Cgroup::SetFreezer(Freezer state) const {
  return WriteTextFile(File("cgroup.freeze"), state == Freezer::kFrozen ? "1" : "0");
}

bool Cgroup::IsFrozen() const {
  for (const auto& [key, value] : ReadCounters(File("cgroup.events"))) {
    if (key == "frozen") return value != 0;
  }
  return false;
}

void Cgroup::KillAll() const {
  // cgroup.kill is in Linux 5.14 and later.
  if (!WriteTextFile(File("cgroup.kill"), "1").ok()) {
    for (const pid_t pid : Pids()) ::kill(pid, SIGKILL);
  }
}

std::vector<pid_t> Cgroup::Pids() const {
  std::vector<pid_t> pids;
  AddPids(path_, pids);
  return pids;
}

bool Cgroup::IsPopulated() const {
  for (const auto& [key, value] : ReadCounters(File("cgroup.events"))) {
    if (key == "populated") return value != 0;
  }
  return false;
}

uint64_t Cgroup::OomKills() const {
  for (const auto& [key, value] : ReadCounters(File("memory.events"))) {
    if (key == "oom_kill") return value;
  }
  return 0;
}

void Cgroup::ReadStats(grpc::CgroupStats* stats) const {
  grpc::CpuStats* cpu = stats->mutable_cpu_stats();
  for (const auto& [key, value] : ReadCounters(File("cpu.stat"))) {
    if (key == "usage_usec") cpu->mutable_cpu_usage()->set_total_usage(value * 1000);
    if (key == "user_usec") cpu->mutable_cpu_usage()->set_usage_in_usermode(value * 1000);
    if (key == "system_usec") cpu->mutable_cpu_usage()->set_usage_in_kernelmode(value * 1000);
    if (key == "nr_periods") cpu->mutable_throttling_data()->set_periods(value);
    if (key == "nr_throttled") cpu->mutable_throttling_data()->set_throttled_periods(value);
    if (key == "throttled_usec") cpu->mutable_throttling_data()->set_throttled_time(value * 1000);
  }
  grpc::MemoryStats* memory = stats->mutable_memory_stats();
  memory->set_use_hierarchy(true);
  memory->mutable_usage()->set_usage(Number(File("memory.current")));
  memory->mutable_usage()->set_max_usage(Number(File("memory.peak")));
  memory->mutable_usage()->set_limit(Number(File("memory.max")));  // "max" is 0: none
  memory->mutable_swap_usage()->set_usage(Number(File("memory.swap.current")));
  memory->mutable_swap_usage()->set_limit(Number(File("memory.swap.max")));
  for (const auto& [key, value] : ReadCounters(File("memory.stat"))) {
    (*memory->mutable_stats())[key] = value;
    if (key == "file") memory->set_cache(value);
    if (key == "kernel") memory->mutable_kernel_usage()->set_usage(value);
  }
  for (const auto& [key, value] : ReadCounters(File("memory.events"))) {
    if (key == "max") memory->mutable_usage()->set_failcnt(value);
  }
  stats->mutable_pids_stats()->set_current(Number(File("pids.current")));
  stats->mutable_pids_stats()->set_limit(Number(File("pids.max")));
  ReadIo(File("io.stat"), stats->mutable_blkio_stats());
}

absl::Status Cgroup::Remove() const {
  for (const std::string& child : SubFolders(path_)) RETURN_IF_ERROR(Cgroup(child).Remove());
  if (::rmdir(path_.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno == EBUSY) return absl::FailedPreconditionError(absl::StrCat("cgroup ", path_, " is still in use"));
  return ErrnoStatus(errno, absl::StrCat("rmdir ", path_));
}

absl::StatusOr<std::unique_ptr<CgroupTree>> CgroupTree::Create(const std::string& name) {
  const std::string mount = FindMount();
  if (mount.empty()) return absl::UnavailableError("no cgroup2 is mounted");
  EnableControllers(mount);
  std::unique_ptr<CgroupTree> tree(new CgroupTree(mount + "/" + name));
  RETURN_IF_ERROR(tree->MakeFolder());
  if (::mkdir(tree->idle_path().c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("mkdir ", tree->idle_path()));
  }
  return tree;
}

absl::Status CgroupTree::MakeFolder() const {
  if (::mkdir(path_.c_str(), 0755) != 0 && errno != EEXIST) return ErrnoStatus(errno, absl::StrCat("mkdir ", path_));
  EnableControllers(path_);
  return absl::OkStatus();
}

absl::Status CgroupTree::Reset() const {
  RETURN_IF_ERROR(Cgroup(path_).Remove());
  return MakeFolder();
}

CgroupTree::~CgroupTree() {
  for (const std::string& path : {path_, idle_path()}) {
    if (const absl::Status status = Cgroup(path).Remove(); !status.ok()) Log(status.message());
  }
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupTree::Make(const std::string& container_id) const {
  const std::string path = path_ + "/" + container_id;
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
  return std::make_unique<Cgroup>(path);
}

}  // namespace podvisor::guest
