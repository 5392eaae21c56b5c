#include "vmm/qemu/proc_stat.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

constexpr size_t kMaxCommandLine = 1 << 20;
constexpr size_t kMaxMappings = 16 << 20;

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

// "     123 kB".
uint64_t Kibibytes(absl::string_view text) {
  text = absl::StripSuffix(absl::StripAsciiWhitespace(text), " kB");
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

uint64_t Number(const std::string& text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

}  // namespace

void AddMappings(absl::string_view smaps, const std::set<uint64_t>& guest_memory, VmUsage& usage) {
  enum class Mapping { kOther, kPrivate, kShared } access = Mapping::kOther;
  bool is_guest = false;
  for (absl::string_view line : absl::StrSplit(smaps, '\n')) {
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    const absl::string_view key = line.substr(0, colon);
    if (const size_t space = key.find(' '); space != absl::string_view::npos) {  // "START-END rw-p ...": a mapping
      // Code that QEMU has translated is executable, whatever its size.
      const absl::string_view rights = line.substr(space + 1, 4);
      access = rights == "rw-p" ? Mapping::kPrivate : rights == "rw-s" ? Mapping::kShared : Mapping::kOther;
      is_guest = false;
      continue;
    }
    const uint64_t bytes = Kibibytes(line.substr(colon + 1)) << 10;
    if (key == "Size") is_guest = access != Mapping::kOther && guest_memory.count(bytes) > 0;
    if (key == "Pss") usage.proportional_bytes += bytes;
    if (key == "Rss") usage.resident_bytes += bytes;
    if (!is_guest) continue;
    // A clone's memory maps the template's file; what it has written is anonymous. A file that is mapped shared is the
    // VM's own copy. "Rss" comes before "Anonymous".
    if (key == "Rss") (access == Mapping::kPrivate ? usage.guest_shared_bytes : usage.guest_private_bytes) += bytes;
    if (key == "Anonymous" && access == Mapping::kPrivate) {
      usage.guest_shared_bytes -= std::min(bytes, usage.guest_shared_bytes);
      usage.guest_private_bytes += bytes;
    }
  }
}

absl::StatusOr<VmUsage> ProcessUsage(pid_t pid, const std::set<uint64_t>& guest_memory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> fields, StatFields(pid));
  ASSIGN_OR_RETURN(const std::string smaps, ReadFile(absl::StrCat("/proc/", pid, "/smaps"), kMaxMappings));
  VmUsage usage;
  const auto ticks = static_cast<double>(Number(fields[14]) + Number(fields[15]));
  usage.cpu_time = absl::Seconds(ticks / static_cast<double>(::sysconf(_SC_CLK_TCK)));
  AddMappings(smaps, guest_memory, usage);
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
