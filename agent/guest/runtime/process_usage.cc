#include "agent/guest/runtime/process_usage.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/guest/text_file.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::ContainerUsage;

constexpr uint64_t kMaxDescriptors = 16384;

struct Descriptors {
  uint64_t all = 0;
  uint64_t sockets = 0;
};

// False once there are too many.
bool AddDescriptorsOf(pid_t pid, Descriptors* count) {
  constexpr char kSocket[] = "socket:";
  DIR* folder = ::opendir(absl::StrCat("/proc/", pid, "/fd").c_str());
  if (folder == nullptr) return true;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    if (++count->all > kMaxDescriptors) break;
    char target[sizeof(kSocket)];
    const ssize_t length = ::readlinkat(::dirfd(folder), entry->d_name, target, sizeof(target));
    if (length == sizeof(target) && ::memcmp(target, kSocket, sizeof(kSocket) - 1) == 0) ++count->sockets;
  }
  ::closedir(folder);
  return count->all <= kMaxDescriptors;
}

}  // namespace

void ReadProcessUsage(const std::vector<pid_t>& pids, ContainerUsage* usage) {
  usage->set_process_count(pids.size());
  Descriptors count;
  for (const pid_t pid : pids) {
    if (!AddDescriptorsOf(pid, &count)) return;
  }
  usage->set_file_descriptors(count.all);
  usage->set_sockets(count.sockets);
}

// "Max open files            1024                 524288               files": a name of up to 25 characters, then the
// soft limit.
void ReadSoftLimits(pid_t pid, ContainerUsage* usage) {
  constexpr size_t kNameWidth = 26;
  for (const std::string& line : SplitWords(ReadTextOrEmpty(absl::StrCat("/proc/", pid, "/limits")), "\n")) {
    if (line.size() <= kNameWidth) continue;
    const std::vector<std::string> words = SplitWords(absl::string_view(line).substr(kNameWidth), " ");
    uint64_t soft;
    if (words.empty() || !absl::SimpleAtoi(words[0], &soft)) continue;  // the heading, or "unlimited"
    const std::string name(absl::StripAsciiWhitespace(absl::string_view(line).substr(0, kNameWidth)));
    (*usage->mutable_soft_limits())[absl::StrReplaceAll(absl::AsciiStrToLower(name), {{" ", "_"}})] = soft;
  }
}

}  // namespace podvisor::guest
