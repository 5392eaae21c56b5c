#include "agent/guest/runtime/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/guest/text_file.h"

namespace podvisor::guest {
namespace {

using podvisor::agent::v1::CgroupUsage;
using podvisor::agent::v1::GuestUsage;
using podvisor::agent::v1::InterfaceUsage;

struct Counter {
  const char* key;
  void (CgroupUsage::*set)(uint64_t);
};
constexpr Counter kCpu[] = {{"usage_usec", &CgroupUsage::set_cpu_usage_us},
                            {"user_usec", &CgroupUsage::set_cpu_user_us},
                            {"system_usec", &CgroupUsage::set_cpu_system_us},
                            {"nr_periods", &CgroupUsage::set_cpu_periods},
                            {"nr_throttled", &CgroupUsage::set_cpu_throttled_periods},
                            {"throttled_usec", &CgroupUsage::set_cpu_throttled_us}};
constexpr Counter kMemory[] = {{"anon", &CgroupUsage::set_memory_anon_bytes},
                               {"file", &CgroupUsage::set_memory_file_bytes},
                               {"active_file", &CgroupUsage::set_memory_active_file_bytes},
                               {"inactive_file", &CgroupUsage::set_memory_inactive_file_bytes},
                               {"file_mapped", &CgroupUsage::set_memory_mapped_file_bytes},
                               {"kernel", &CgroupUsage::set_memory_kernel_bytes},
                               {"pgfault", &CgroupUsage::set_page_faults},
                               {"pgmajfault", &CgroupUsage::set_major_page_faults}};
constexpr Counter kMemoryEvents[] = {{"max", &CgroupUsage::set_memory_limit_hits},
                                     {"oom_kill", &CgroupUsage::set_oom_kills}};

template <size_t kCount>
void ReadInto(const std::string& path, const Counter (&counters)[kCount], CgroupUsage* usage) {
  for (const auto& [key, value] : ReadCounters(path)) {
    for (const Counter& counter : counters) {
      if (key == counter.key) (usage->*counter.set)(value);
    }
  }
}

uint64_t Number(const std::string& text) { return ::strtoull(text.c_str(), nullptr, 10); }

uint64_t ReadNumber(const std::string& path) { return Number(ReadTextOrEmpty(path)); }

// "max" is no limit.
std::optional<uint64_t> ReadLimit(const std::string& path) {
  uint64_t limit;
  if (!absl::SimpleAtoi(ReadTextOrEmpty(path), &limit)) return std::nullopt;
  return limit;
}

using podvisor::agent::v1::StallShares;

// A file of "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234", microseconds at its end, and the same for "full".
struct StallFile {
  const char* name;
  void (CgroupUsage::*set_some)(uint64_t);
  StallShares* (CgroupUsage::*some)();
  void (CgroupUsage::*set_full)(uint64_t);
  StallShares* (CgroupUsage::*full)();
};
constexpr StallFile kStalls[] = {
    {"/cpu.pressure", &CgroupUsage::set_cpu_stall_us, &CgroupUsage::mutable_cpu_stall,
     &CgroupUsage::set_cpu_full_stall_us, &CgroupUsage::mutable_cpu_full_stall},
    {"/memory.pressure", &CgroupUsage::set_memory_stall_us, &CgroupUsage::mutable_memory_stall,
     &CgroupUsage::set_memory_full_stall_us, &CgroupUsage::mutable_memory_full_stall},
    {"/io.pressure", &CgroupUsage::set_io_stall_us, &CgroupUsage::mutable_io_stall, &CgroupUsage::set_io_full_stall_us,
     &CgroupUsage::mutable_io_full_stall}};

void ReadStalls(const std::string& path, CgroupUsage* usage) {
  for (const StallFile& file : kStalls) {
    // Unless the kernel was told to measure (psi=1), reading fails.
    for (const std::string& line : SplitWords(ReadTextOrEmpty(path + file.name), "\n")) {
      double avg10, avg60, avg300;
      unsigned long long total;
      char kind[5];
      if (::sscanf(line.c_str(), "%4s avg10=%lf avg60=%lf avg300=%lf total=%llu", kind, &avg10, &avg60, &avg300,
                   &total) != 5) {
        continue;
      }
      const bool full = ::strcmp(kind, "full") == 0;
      (usage->*(full ? file.set_full : file.set_some))(total);
      StallShares* shares = (usage->*(full ? file.full : file.some))();
      shares->set_avg10(avg10);
      shares->set_avg60(avg60);
      shares->set_avg300(avg300);
    }
  }
}

// Files of the cgroup named hugetlb.SIZE.current; the kernel's sizes do not change.
void ReadHugePages(const std::string& path, CgroupUsage* usage) {
  constexpr absl::string_view kPrefix = "hugetlb.", kSuffix = ".current";
  static const std::vector<std::string>* const kSizes = [&] {
    auto* sizes = new std::vector<std::string>();
    for (const absl::string_view name : ListFolder(path)) {
      if (!absl::StartsWith(name, kPrefix) || !absl::EndsWith(name, kSuffix)) continue;
      const absl::string_view size = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
      if (size.find('.') == absl::string_view::npos) sizes->emplace_back(size);  // not hugetlb.2MB.rsvd.current
    }
    return sizes;
  }();
  for (const std::string& size : *kSizes)
    (*usage->mutable_hugetlb_bytes())[size] = ReadNumber(absl::StrCat(path, "/", kPrefix, size, kSuffix));
}

// "253:0 rbytes=1 wbytes=2 rios=3 wios=4 …", a line for each device.
void ReadIo(const std::string& path, CgroupUsage* usage) {
  for (const std::string& word : SplitWords(ReadTextOrEmpty(path), " \n")) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    const uint64_t value = Number(word.substr(equals + 1));
    const std::string key = word.substr(0, equals);
    if (key == "rbytes") usage->set_read_bytes(usage->read_bytes() + value);
    if (key == "wbytes") usage->set_write_bytes(usage->write_bytes() + value);
    if (key == "rios") usage->set_reads(usage->reads() + value);
    if (key == "wios") usage->set_writes(usage->writes() + value);
  }
}

uint64_t ClockUs(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_nsec) / 1000;
}

// /proc/stat's first line: "cpu user nice system idle iowait irq softirq steal guest guest_nice", in ticks; the last
// two are in the first two already.
uint64_t BusyUs() {
  const std::string text = ReadTextOrEmpty("/proc/stat");
  const std::vector<std::string> words = SplitWords(absl::string_view(text).substr(0, text.find('\n')), " ");
  uint64_t ticks = 0;
  for (const size_t column : {1, 2, 3, 6, 7, 8}) ticks += column < words.size() ? Number(words[column]) : 0;
  return ticks * 1'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

void ReadCgroupUsage(const std::string& path, CgroupUsage* usage) {
  ReadInto(path + "/cpu.stat", kCpu, usage);
  ReadInto(path + "/memory.stat", kMemory, usage);
  ReadInto(path + "/memory.events", kMemoryEvents, usage);
  usage->set_memory_bytes(ReadNumber(path + "/memory.current"));
  usage->set_memory_peak_bytes(ReadNumber(path + "/memory.peak"));
  usage->set_swap_bytes(ReadNumber(path + "/memory.swap.current"));
  usage->set_processes(ReadNumber(path + "/pids.current"));
  if (const auto limit = ReadLimit(path + "/memory.max")) usage->set_memory_limit_bytes(*limit);
  if (const auto limit = ReadLimit(path + "/memory.swap.max")) usage->set_swap_limit_bytes(*limit);
  if (const auto limit = ReadLimit(path + "/pids.max")) usage->set_processes_limit(*limit);
  ReadIo(path + "/io.stat", usage);
  ReadHugePages(path, usage);
  ReadStalls(path, usage);
}

void ReadGuestUsage(GuestUsage* usage) {
  struct Item {
    const char* name;
    void (GuestUsage::*set)(uint64_t);
  };
  constexpr Item kItems[] = {{"MemTotal", &GuestUsage::set_memory_total_bytes},
                             {"MemFree", &GuestUsage::set_memory_free_bytes},
                             {"MemAvailable", &GuestUsage::set_memory_available_bytes},
                             {"SwapTotal", &GuestUsage::set_swap_total_bytes},
                             {"SwapFree", &GuestUsage::set_swap_free_bytes}};
  for (const std::string& line : SplitWords(ReadTextOrEmpty("/proc/meminfo"), "\n")) {
    const std::vector<std::string> words = SplitWords(line, ": ");
    for (const Item& item : kItems) {
      if (words.size() == 3 && words[0] == item.name) (usage->*item.set)(Number(words[1]) * 1024);
    }
  }
  usage->set_cpu_us(BusyUs());
  const std::vector<std::string> pages = SplitWords(ReadTextOrEmpty("/proc/self/statm"), " ");
  if (pages.size() > 1) {
    usage->set_agent_memory_bytes(Number(pages[1]) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
  usage->set_agent_cpu_us(ClockUs(CLOCK_PROCESS_CPUTIME_ID));
  usage->set_processors(static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

// /proc/net/dev: two lines of headings, then "eth0: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes
// …".
void ReadInterfaceUsage(google::protobuf::RepeatedPtrField<InterfaceUsage>* interfaces) {
  for (const std::string& line : SplitWords(ReadTextOrEmpty("/proc/self/net/dev"), "\n")) {
    const std::vector<std::string> words = SplitWords(line, " :");
    if (words.size() < 17 || line.find('|') != std::string::npos) continue;
    InterfaceUsage* usage = interfaces->Add();
    usage->set_name(words[0]);
    usage->set_rx_bytes(Number(words[1]));
    usage->set_rx_packets(Number(words[2]));
    usage->set_rx_errors(Number(words[3]));
    usage->set_rx_dropped(Number(words[4]));
    usage->set_tx_bytes(Number(words[9]));
    usage->set_tx_packets(Number(words[10]));
    usage->set_tx_errors(Number(words[11]));
    usage->set_tx_dropped(Number(words[12]));
  }
}

}  // namespace podvisor::guest
