#include "agent/guest/runtime/process_usage.h"

#include <dirent.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace podvisor::guest {
namespace {

constexpr uint64_t kMaxDescriptors = 65536;

struct Counts {
  uint64_t processes = 0;
  uint64_t descriptors = 0;
  uint64_t sockets = 0;
};

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

void CountDescriptors(const std::string& pid, Counts& counts) {
  const Folder folder(::opendir(absl::StrCat("/proc/", pid, "/fd").c_str()));
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    if (++counts.descriptors > kMaxDescriptors) return;
    char target[32];
    const ssize_t length = ::readlinkat(::dirfd(folder.get()), entry->d_name, target, sizeof(target));
    if (length > 0 && absl::StartsWith(absl::string_view(target, static_cast<size_t>(length)), "socket:"))
      ++counts.sockets;
  }
}

void CountBelow(const std::string& cgroup_path, Counts& counts) {
  std::ifstream procs(cgroup_path + "/cgroup.procs");
  std::string pid;
  while (std::getline(procs, pid)) {
    ++counts.processes;
    if (counts.descriptors <= kMaxDescriptors) CountDescriptors(pid, counts);
  }
  const Folder folder(::opendir(cgroup_path.c_str()));
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
      CountBelow(absl::StrCat(cgroup_path, "/", entry->d_name), counts);
  }
}

}  // namespace

void CountProcesses(const std::string& cgroup_path, podvisor::agent::v1::ContainerUsage* usage) {
  Counts counts;
  CountBelow(cgroup_path, counts);
  usage->set_process_count(counts.processes);
  if (counts.descriptors > kMaxDescriptors) return;
  usage->set_file_descriptors(counts.descriptors);
  usage->set_sockets(counts.sockets);
}

void ReadLayerLimits(const std::string& path, podvisor::agent::v1::ContainerUsage* usage) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0 || info.f_blocks == 0 || info.f_files == 0) return;
  usage->set_layer_limit_bytes(static_cast<uint64_t>(info.f_blocks) * static_cast<uint64_t>(info.f_bsize));
  usage->set_layer_inodes_limit(info.f_files);
  usage->set_layer_inodes_free(info.f_ffree);
}

}  // namespace podvisor::guest
