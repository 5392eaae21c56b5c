#include "vmm/qemu/proc_stat.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxCommandLine = 1 << 20;

// Fields of /proc/PID/stat by their number in proc(5); the command's name may hold anything.
absl::StatusOr<std::vector<std::string>> StatFields(pid_t pid) {
  ASSIGN_OR_RETURN(const std::string stat, ReadFile(absl::StrCat("/proc/", pid, "/stat"), 4096));
  const size_t end_of_name = stat.rfind(") ");
  if (end_of_name == std::string::npos) return absl::InternalError(absl::StrCat("/proc/", pid, "/stat: no name"));
  std::vector<std::string> fields = {"", "", ""};
  for (absl::string_view field : absl::StrSplit(absl::string_view(stat).substr(end_of_name + 2), ' '))
    fields.emplace_back(field);
  if (fields.size() < 23) return absl::InternalError(absl::StrCat("/proc/", pid, "/stat: too few fields"));
  return fields;
}

uint64_t Number(const std::string& text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

}  // namespace

absl::StatusOr<VmUsage> ProcessUsage(pid_t pid) {
  ASSIGN_OR_RETURN(const std::vector<std::string> fields, StatFields(pid));
  ASSIGN_OR_RETURN(const std::string rollup, ReadFile(absl::StrCat("/proc/", pid, "/smaps_rollup"), 65536));
  VmUsage usage;
  const auto ticks = static_cast<double>(Number(fields[14]) + Number(fields[15]));
  usage.cpu_time = absl::Seconds(ticks / static_cast<double>(::sysconf(_SC_CLK_TCK)));
  for (absl::string_view line : absl::StrSplit(rollup, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 3) continue;
    if (words[0] == "Rss:") usage.resident_bytes = Number(words[1]) << 10;
    if (words[0] == "Pss:") usage.proportional_bytes = Number(words[1]) << 10;
  }
  return usage;
}

std::vector<ProcessIdentity> FindProcesses(const std::string& option, const std::string& value) {
  std::vector<ProcessIdentity> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
  if (proc == nullptr) return found;
  while (const dirent* entry = ::readdir(proc.get())) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid)) continue;
    const std::string line = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"), kMaxCommandLine).value_or("");
    if (!absl::StrContains(line, value)) continue;
    const std::vector<std::string> arguments = absl::StrSplit(line, '\0');
    for (size_t i = 0; i + 1 < arguments.size(); ++i) {
      if (arguments[i] != option || arguments[i + 1] != value) continue;
      if (const auto fields = StatFields(pid); fields.ok()) found.push_back({pid, Number((*fields)[22])});
      break;
    }
  }
  return found;
}

}  // namespace podvisor
